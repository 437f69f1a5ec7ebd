// An application in Go with client_golang's default metrics, expvar, profiles, and its own account beside them. It ends with its
// standard input.
package main

import (
	"encoding/json"
	_ "expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Large enough that the garbage of answering does not matter.
var held [][]byte

func account(response http.ResponseWriter, _ *http.Request) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	_ = json.NewEncoder(response).Encode(map[string]uint64{
		"heap":           stats.HeapAlloc,
		"heap_in_use":    stats.HeapInuse,
		"heap_committed": stats.HeapSys - stats.HeapReleased,
		"goroutines":     uint64(runtime.NumGoroutine()),
	})
}

func main() {
	for range [256]struct{}{} {
		block := make([]byte, 512*1024)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		held = append(held, block)
	}
	for range [1000]struct{}{} {
		go func() { select {} }()
	}
	http.Handle("/metrics", promhttp.Handler())
	http.HandleFunc("/account", account)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("ready port=%d\n", listener.Addr().(*net.TCPAddr).Port)
	go func() { panic(http.Serve(listener, nil)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(held)
}

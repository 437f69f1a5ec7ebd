// A watched program for the end-to-end tests, in Go. README.md in the folder above says what every option and
// behaviour means; all five sources follow it alike.
//
// Live memory is made of byte slices of 1 to 8 KiB, sizes that the allocator serves without waste, each filled with
// written content and counted with its link. The collector lets the heap grow by GOGC percent beyond what is live, so
// resident memory grows by that much more than the program holds: the program therefore holds that much less, and what
// is asked for is what becomes resident.
package main

import (
	"fmt"
	"math"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// Work happens in short ticks: often enough for a smooth curve at 200 ms sampling, seldom enough to cost no CPU.
	tick = 40 * time.Millisecond
	// After a stall, garbage is not made up for, since a burst would move the peak and not the floor.
	longestGarbageSeconds = 0.2
	largestBody           = 8192
	// A link holds a pointer and a slice header, 32 bytes, which is a size class of the allocator.
	linkBytes = 32
	// The allocator describes every span of 8 KiB in 160 bytes of its own, which are resident too.
	spanShare = 160.0 / 8192
)

func main() {
	options := readOptions(os.Args[1:])
	endOnSignalOrInput()

	scale := 1 / (1 + headroom())
	sizes := newRandom(options.seed)
	base := pool{sizes: sizes}
	base.resize(options.base * scale)
	live := pool{sizes: sizes}
	cache := flow{sizes: sizes}
	cache.turn(options.cache*scale, options.cache*scale)
	sessions := flow{sizes: sizes}
	garbage := garbage{sizes: sizes, bytesPerSecond: options.garbage}
	giveBack := giveBack{enough: options.amplitude * scale / 8}
	wanted := liveCurve(options)
	fmt.Printf("ready pid=%d\n", os.Getpid())

	start := time.Now()
	// The base is named in the condition, which keeps it reachable for as long as the program runs.
	for seconds := 0.0; seconds < options.seconds && base.bytes >= 0; seconds = time.Since(start).Seconds() {
		giveBack.after(live.resize(wanted(seconds) * scale))
		entered, bound := throughTheCache(options, seconds)
		cache.turn(entered*scale, bound*scale)
		work := doneWork(options, seconds)
		sessions.turn(options.sessions*work, options.sessions*options.life*pace(options, seconds))
		garbage.make(work)
		time.Sleep(tick)
	}
}

// The part of the live heap that the collector lets grow on top of it, 0.1 for GOGC=10.
func headroom() float64 {
	percent := debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	if percent < 0 {
		return 0
	}
	return float64(percent) / 100
}

func endOnSignalOrInput() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		os.Exit(0)
	}()
	go func() {
		unused := make([]byte, 4096)
		for {
			if _, err := os.Stdin.Read(unused); err != nil {
				os.Exit(0)
			}
		}
	}()
}

// The bytes that have entered the cache, and how many it may hold: once it leaks, nothing leaves it.
func throughTheCache(options options, seconds float64) (entered, bound float64) {
	leaks := options.behaviour == "leak"
	if !leaks && options.cache == 0 {
		return 0, 0
	}
	entered, bound = options.cache+options.rate*seconds, options.cache
	if leaks {
		bound += options.rate * math.Max(0, seconds-options.onset)
	}
	return entered, bound
}

// How much busier than usual the program is: the load swings.
func pace(options options, seconds float64) float64 {
	return 1 + options.swing/100*math.Sin(2*math.Pi*seconds/options.period)
}

// The sum of the pace since the start, which is the seconds where the load does not swing.
func doneWork(options options, seconds float64) float64 {
	turn := 2 * math.Pi / options.period
	return seconds + options.swing/100*(1-math.Cos(turn*seconds))/turn
}

// The bytes held above the base and the cache, as a function of the seconds since the start.
func liveCurve(options options) func(seconds float64) float64 {
	amplitude, period := options.amplitude, options.period
	switch options.behaviour {
	case "sawtooth":
		return sawtooth(amplitude, period, newRandom(options.seed+1))
	case "warmup":
		return func(seconds float64) float64 { return amplitude * (1 - math.Exp(-seconds/period)) }
	case "daily":
		return func(seconds float64) float64 { return amplitude * (1 - math.Cos(2*math.Pi*seconds/period)) / 2 }
	case "step":
		return func(seconds float64) float64 {
			if seconds < period {
				return 0
			}
			return amplitude
		}
	default:
		return func(float64) float64 { return 0 }
	}
}

// The slope is constant and the drop comes early or late by up to a quarter, so the peaks vary by as much.
func sawtooth(amplitude, period float64, random *random) func(float64) float64 {
	cycleLength := func() float64 { return period * (0.75 + 0.5*float64(random.next())/(1<<32)) }
	began, ends := 0.0, cycleLength()
	return func(seconds float64) float64 {
		for seconds >= ends {
			began, ends = ends, ends+cycleLength()
		}
		return amplitude * (seconds - began) / period
	}
}

type link struct {
	below *link
	body  []byte
}

// A stack of byte slices that is resized to a number of bytes, overhead included.
type pool struct {
	sizes *random
	bytes float64
	top   *link
}

// Returns the change in bytes: above zero for growth, below for blocks dropped.
func (p *pool) resize(target float64) float64 {
	before := p.bytes
	// Stops within half of the largest block of the target, so that the rounding has no lasting direction.
	for p.bytes+largestBody/2 <= target {
		p.top = &link{below: p.top, body: written(p.sizes.bodySize())}
		p.bytes += residentBytes(p.top.body)
	}
	for p.top != nil && p.bytes-largestBody > target {
		p.bytes -= residentBytes(p.top.body)
		p.top = p.top.below
	}
	return p.bytes - before
}

type entry struct {
	next *entry
	body []byte
}

// A queue of byte slices: new ones enter at the end, and the oldest leave once it holds more than it may.
type flow struct {
	sizes          *random
	bytes, entered float64
	oldest, newest *entry
}

// Lets slices in until so many bytes have entered in all, and out until it holds no more than the bound.
func (f *flow) turn(entered, bound float64) {
	for f.entered+largestBody/2 <= entered {
		added := &entry{body: written(f.sizes.bodySize())}
		if f.newest == nil {
			f.oldest = added
		} else {
			f.newest.next = added
		}
		f.newest = added
		f.bytes += residentBytes(added.body)
		f.entered += residentBytes(added.body)
	}
	for f.oldest != nil && f.bytes-largestBody > bound {
		f.bytes -= residentBytes(f.oldest.body)
		f.oldest = f.oldest.next
		if f.oldest == nil {
			f.newest = nil
		}
	}
}

// Short-lived slices: the ones of a tick are held until the next, then dropped.
type garbage struct {
	sizes          *random
	bytesPerSecond float64
	last           float64
	owed           float64
	held           [][]byte
}

func (g *garbage) make(seconds float64) {
	g.owed += g.bytesPerSecond * math.Min(seconds-g.last, longestGarbageSeconds)
	g.last = seconds
	g.held = nil
	for g.owed > 0 {
		body := written(g.sizes.bodySize())
		g.held = append(g.held, body)
		g.owed -= float64(len(body))
	}
}

// Asks the runtime to return dropped memory after each eighth of the amplitude, and when a descent has ended.
type giveBack struct {
	enough  float64
	dropped float64
}

func (g *giveBack) after(change float64) {
	if change < 0 {
		g.dropped -= change
	}
	if g.dropped > 0 && (g.dropped >= g.enough || change > 0) {
		g.dropped = 0
		debug.FreeOSMemory()
	}
}

// What a slice takes with its link and its part of the allocator's own memory.
func residentBytes(body []byte) float64 {
	return float64(len(body)+linkBytes) * (1 + spanShare)
}

var writtenSoFar byte

// A slice of its own with new content: every byte is written, so every page of it is touched.
func written(size int) []byte {
	body := make([]byte, size)
	writtenSoFar++
	for i := range body {
		body[i] = writtenSoFar | 1
	}
	return body
}

// Xorshift in 32 bits, since every one of the five languages computes it alike.
type random struct{ state uint32 }

func newRandom(seed float64) *random {
	state := uint32(seed)*2654435761 + 2654435769
	if state == 0 {
		state = 1
	}
	return &random{state}
}

func (r *random) next() uint32 {
	r.state ^= r.state << 13
	r.state ^= r.state >> 17
	r.state ^= r.state << 5
	return r.state
}

func (r *random) bodySize() int { return 1024 << (r.next() >> 30) }

type options struct {
	behaviour                                     string
	rate, onset, garbage, sessions, life, swing   float64
	base, cache, amplitude, period, seed, seconds float64
}

type kind struct {
	expected string
	shape    *regexp.Regexp
	valid    func(float64) bool
}

var (
	behaviours = []string{"leak", "sawtooth", "warmup", "daily", "step", "steady"}
	whole      = kind{
		"a whole number from 0 to 1000000000",
		regexp.MustCompile(`^[0-9]{1,10}$`),
		func(value float64) bool { return value <= 1e9 },
	}
	percent = kind{
		"a whole number from 0 to 100",
		regexp.MustCompile(`^[0-9]{1,10}$`),
		func(value float64) bool { return value <= 100 },
	}
	positive = kind{
		"a number above 0, at most 1000000",
		regexp.MustCompile(`^[0-9]{1,7}(\.[0-9]{1,6})?$`),
		func(value float64) bool { return value > 0 && value <= 1e6 },
	}
)

func readOptions(words []string) options {
	options := options{
		rate: 200000, garbage: 4000000, life: 5, base: 25165824, amplitude: 33554432, period: 60, seed: 1,
		seconds: 900,
	}
	numbers := []struct {
		name string
		kind kind
		into *float64
	}{
		{"--rate", whole, &options.rate},
		{"--onset", whole, &options.onset},
		{"--garbage", whole, &options.garbage},
		{"--sessions", whole, &options.sessions},
		{"--life", positive, &options.life},
		{"--swing", percent, &options.swing},
		{"--base", whole, &options.base},
		{"--cache", whole, &options.cache},
		{"--amplitude", whole, &options.amplitude},
		{"--period", positive, &options.period},
		{"--seed", whole, &options.seed},
		{"--seconds", positive, &options.seconds},
	}
	names := "--behaviour"
	for _, number := range numbers {
		names += ", " + number.name
	}
	expectedBehaviour := "one of " + strings.Join(behaviours, ", ")

next:
	for i := 0; i < len(words); i += 2 {
		name := words[i]
		value := func(expected string) string {
			if i+1 == len(words) {
				refuse("%s: value missing, expected %s", name, expected)
			}
			return words[i+1]
		}
		if name == "--behaviour" {
			options.behaviour = value(expectedBehaviour)
			for _, known := range behaviours {
				if options.behaviour == known {
					continue next
				}
			}
			refuse("%s: '%s' is not %s", name, options.behaviour, expectedBehaviour)
		}
		for _, number := range numbers {
			if name != number.name {
				continue
			}
			text := value(number.kind.expected)
			parsed, err := strconv.ParseFloat(text, 64)
			if err != nil || !number.kind.shape.MatchString(text) || !number.kind.valid(parsed) {
				refuse("%s: '%s' is not %s", name, text, number.kind.expected)
			}
			*number.into = parsed
			continue next
		}
		refuse("unknown option '%s', accepted: %s", name, names)
	}
	if options.behaviour == "" {
		refuse("--behaviour: missing, expected %s", expectedBehaviour)
	}
	return options
}

func refuse(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "program: "+format+"\n", values...)
	os.Exit(2)
}

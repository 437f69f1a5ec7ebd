// One program in Go for record.py: what it does stands in its arguments, see README.md.
package main

import (
	"bytes"
	"math"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"
)

type record struct {
	number  int
	name    string
	payload any
	next    *record
}

type entry struct {
	key          int
	data         any
	older, newer *entry
}

type session struct {
	user int
	data any
}

// part is one behaviour: its settings and what it holds.
type part struct {
	name, kind, by   string
	v                map[string]float64
	at, size         []float64
	used, owed, next float64
	seen             int
	list             []any
	held             map[string]any
	entries          map[int]*entry
	oldest, newest   *entry
	due              map[int][]session
	table            map[int]any
	text             *bytes.Buffer
}

var (
	number  int
	rng     *rand.Rand
	pattern = bytes.Repeat([]byte("abcdefgh"), 1<<19)
)

func varied(size float64) int { return int(math.Max(16, size*(0.5+rng.Float64()))) }

func block(size int) []byte {
	b := make([]byte, size)
	for at := 0; at < size; at += len(pattern) {
		copy(b[at:], pattern)
	}
	return b
}

func thing(kind string, size int) any {
	number++
	switch kind {
	case "records":
		return &record{number: number, name: "record-" + strconv.Itoa(number), payload: block(size)}
	case "strings":
		return string(pattern[:min(size, len(pattern))])
	case "closures":
		payload := block(size)
		return func() int { return len(payload) }
	}
	return block(size)
}

func (p *part) keep(kind string, size int) float64 {
	if kind == "map" {
		p.held["key-"+strconv.Itoa(number)] = thing(kind, size)
	} else {
		p.list = append(p.list, thing(kind, size))
	}
	return float64(size)
}

func (p *part) base(now float64) {
	want := p.v["bytes"]
	if p.v["over"] > 0 {
		want *= math.Min(1, now/p.v["over"])
	}
	for p.used < want {
		p.used += p.keep(p.kind, varied(p.v["size"]))
	}
}

func (p *part) garbage(requests int) {
	for ; requests > 0; requests-- {
		var made []any
		for i := math.Max(1, math.Floor(p.v["bytes"]/p.v["size"])); i > 0; i-- {
			made = append(made, thing(p.kind, varied(p.v["size"])))
		}
		p.list = append(p.list, made)
		for float64(len(p.list)) > p.v["held"] {
			p.list[0] = nil
			p.list = p.list[1:]
		}
	}
}

func (p *part) unlink(e *entry) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		p.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		p.newest = e.older
	}
	e.older, e.newer = nil, nil
}

func (p *part) link(e *entry) {
	e.older = p.newest
	if p.newest != nil {
		p.newest.newer = e
	} else {
		p.oldest = e
	}
	p.newest = e
}

func (p *part) cache(requests int) {
	for p.owed += float64(requests) * p.v["share"]; p.owed >= 1; p.owed-- {
		key := int(p.v["keys"] * math.Pow(rng.Float64(), p.v["skew"]))
		if e := p.entries[key]; e != nil {
			p.unlink(e)
			p.link(e)
			continue
		}
		e := &entry{key: key, data: thing(p.kind, varied(p.v["size"]))}
		p.entries[key] = e
		p.link(e)
		for p.used += p.v["size"]; p.used > p.v["max"]; p.used -= p.v["size"] {
			delete(p.entries, p.oldest.key)
			p.unlink(p.oldest)
		}
	}
}

func (p *part) batch(now float64) {
	since := math.Mod(now+p.v["phase"], p.v["period"])
	if since >= p.v["last"] {
		p.list, p.used = nil, 0
		if len(p.held) > 0 {
			p.held = map[string]any{}
		}
		return
	}
	for p.used < p.v["bytes"]*math.Min(1, since/(0.3*p.v["last"])) {
		p.used += p.keep(p.kind, varied(p.v["size"]))
	}
}

func (p *part) fragment(now float64) {
	if now < p.next {
		return
	}
	p.next = now + p.v["period"]*(0.7+0.6*rng.Float64())
	var kept []any
	for total, i := 0.0, 0; total < p.v["bytes"]; i++ {
		size := p.v["size"] * math.Pow(p.v["max"]/p.v["size"], rng.Float64())
		made := block(int(size))
		if i%2 == 0 {
			kept = append(kept, made)
		}
		total += size
	}
	p.list = append(p.list, kept)
	for float64(len(p.list)) > p.v["keep"] {
		p.list[0] = nil
		p.list = p.list[1:]
	}
}

func (p *part) warmup(now float64) {
	for len(p.at) > 0 && p.at[0] <= now {
		for left := p.size[0]; left > 0; {
			left -= p.keep("map", varied(math.Min(left, p.v["size"])))
		}
		p.at, p.size = p.at[1:], p.size[1:]
	}
}

func (p *part) sessions(now float64, requests int) {
	for p.owed += float64(requests) * p.v["share"]; p.owed >= 1; p.owed-- {
		ends := int(now + math.Min(7200, rng.ExpFloat64()*p.v["life"]))
		p.due[ends] = append(p.due[ends], session{number, thing(p.kind, varied(p.v["bytes"]))})
	}
	for ; p.seen < int(now); p.seen++ {
		delete(p.due, p.seen)
	}
}

func (p *part) pool(load float64) {
	want := math.Min(p.v["max"], p.v["keys"]*load*math.Exp(0.4*rng.NormFloat64()))
	for float64(len(p.list)) < want {
		p.list = append(p.list, block(int(p.v["size"])))
	}
}

func (p *part) reload(now float64) {
	if now < p.next {
		return
	}
	p.next = now + p.v["period"]
	fresh := map[int]any{}
	for total := 0.0; total < p.v["bytes"]; {
		size := varied(p.v["size"])
		fresh[len(fresh)] = thing(p.kind, size)
		total += float64(size)
	}
	p.table = fresh
}

func (p *part) log(requests int) {
	for i := int(float64(requests) * p.v["share"]); i >= 0; i-- {
		p.text.Write(pattern[:varied(p.v["size"])])
	}
	if float64(p.text.Len()) > p.v["max"] {
		p.text = &bytes.Buffer{}
	}
}

func (p *part) leak(now, dt, load float64) {
	if now < p.v["onset"] {
		return
	}
	if p.by == "work" {
		dt *= load
	}
	p.owed += p.v["rate"] * dt
	if p.next == 0 {
		p.next = float64(varied(p.v["size"]))
	}
	for p.owed >= p.next {
		p.owed -= p.keep(p.kind, int(p.next))
		p.next = float64(varied(p.v["size"]))
	}
}

func (p *part) step(now, dt, load float64, requests int) {
	switch p.name {
	case "base":
		p.base(now)
	case "garbage":
		p.garbage(requests)
	case "cache":
		p.cache(requests)
	case "batch":
		p.batch(now)
	case "fragment":
		p.fragment(now)
	case "warmup":
		p.warmup(now)
	case "sessions":
		p.sessions(now, requests)
	case "pool":
		p.pool(load)
	case "reload":
		p.reload(now)
	case "log":
		p.log(requests)
	case "leak":
		p.leak(now, dt, load)
	}
}

func newPart(name, rest string) *part {
	p := &part{name: name, v: map[string]float64{}, held: map[string]any{}, entries: map[int]*entry{},
		due: map[int][]session{}, text: &bytes.Buffer{}}
	for _, pair := range strings.Split(rest, ",") {
		key, text, _ := strings.Cut(pair, "=")
		switch key {
		case "kind":
			p.kind = text
		case "by":
			p.by = text
		case "steps":
			for _, step := range strings.Split(text, "+") {
				at, size, _ := strings.Cut(step, "/")
				a, _ := strconv.ParseFloat(at, 64)
				s, _ := strconv.ParseFloat(size, 64)
				p.at, p.size = append(p.at, a), append(p.size, s)
			}
		default:
			p.v[key], _ = strconv.ParseFloat(text, 64)
		}
	}
	return p
}

func main() {
	settings, wanted := map[string]string{}, []*part{}
	for _, argument := range os.Args[1:] {
		if name, rest, found := strings.Cut(argument, ":"); found {
			wanted = append(wanted, newPart(name, rest))
		} else {
			key, text, _ := strings.Cut(argument, "=")
			settings[key] = text
		}
	}
	number := func(key string) float64 { v, _ := strconv.ParseFloat(settings[key], 64); return v }
	curve, err := os.ReadFile(settings["load"])
	if err != nil {
		panic(err)
	}
	rng = rand.New(rand.NewSource(int64(number("seed"))))
	factor, first, rate, tick, until := number("factor"), number("from"), number("rate"), number("tick"), number("until")
	start, before, owed := time.Now(), 0.0, 0.0
	for before < until {
		now := time.Since(start).Seconds() * factor
		dt, load := now-before, float64(curve[min(len(curve)-1, int(first+now))])/32
		before, owed = now, math.Min(owed+rate*load*dt, 10*rate+10)
		requests := int(owed)
		owed -= float64(requests)
		for _, p := range wanted {
			p.step(now, dt, load, requests)
		}
		time.Sleep(time.Duration(tick / factor * 1e9))
	}
}

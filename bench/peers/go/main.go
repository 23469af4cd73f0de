// The work for Go, told on stdin and timed here: as engines of this kind are usually built, with a
// goroutine for each campaign, a mutex for each window, an RWMutex map of ids and a channel of decisions.
//
// stdin: four u32 (campaigns, platforms, capacity, pool), five f64 a campaign (its terms), then orders:
// 'I' u32 count and rows of 32 bytes, 'R' u32 times, 'D' f64 the time. stdout: what ingest and decide took,
// as u64 nanoseconds of processor time for each core; after those of 'D' an answer of 32 bytes for each campaign.

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
)

const (
	startTick  = 1_000_000
	unitMicros = 100
	rowBytes   = 32
)

type peer struct {
	engine    *Engine
	platforms int
	capacity  int
	ids       []string
	terms     []Terms
	decisions []Decision
	in        *bufio.Reader
	out       *bufio.Writer
}

func main() {
	one := &peer{
		engine: NewEngine(),
		in:     bufio.NewReaderSize(os.Stdin, 1<<20),
		out:    bufio.NewWriterSize(os.Stdout, 1<<20),
	}
	if err := one.run(); err != nil && err != io.EOF {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (p *peer) run() error {
	var head struct{ Campaigns, Platforms, Capacity, Pool uint32 }
	if err := binary.Read(p.in, binary.LittleEndian, &head); err != nil {
		return err
	}
	p.platforms, p.capacity = int(head.Platforms), int(head.Capacity)
	p.terms = make([]Terms, head.Campaigns)
	if err := binary.Read(p.in, binary.LittleEndian, p.terms); err != nil {
		return err
	}
	p.decisions = make([]Decision, head.Campaigns)
	p.start(int(head.Pool))
	for {
		order, err := p.in.ReadByte()
		if err != nil {
			return err
		}
		switch order {
		case 'I':
			err = p.ingest()
		case 'R':
			err = p.repeat()
		case 'D':
			err = p.decide()
		default:
			err = fmt.Errorf("order must be I, R or D, was %q", order)
		}
		if err == nil {
			err = p.out.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// start starts campaigns until there are so many.
func (p *peer) start(campaigns int) {
	for number := len(p.ids); number < campaigns; number++ {
		id := fmt.Sprintf("campaign-%08d", number)
		p.ids = append(p.ids, id)
		p.engine.Start(id, p.terms[number], p.platforms, p.capacity)
	}
}

func (p *peer) ingest() error {
	var count uint32
	if err := binary.Read(p.in, binary.LittleEndian, &count); err != nil {
		return err
	}
	rows := make([]byte, int(count)*rowBytes)
	if _, err := io.ReadFull(p.in, rows); err != nil {
		return err
	}
	// Not timed: messages are decoded already, their ids strings that the map knows.
	updates := make([]Update, count)
	for i := range updates {
		row := rows[i*rowBytes:]
		slot := int(binary.LittleEndian.Uint64(row))
		updates[i] = Update{p.ids[slot/p.platforms], slot % p.platforms, Sample{
			At:          float64(binary.LittleEndian.Uint32(row[16:])) - startTick,
			Clicks:      float64(binary.LittleEndian.Uint32(row[20:])),
			Conversions: float64(binary.LittleEndian.Uint32(row[24:])) / 1000,
			Spend:       float64(binary.LittleEndian.Uint32(row[28:])) * unitMicros,
		}}
	}
	runtime.GC() // of what the decoding left
	begun := used()
	var workers sync.WaitGroup
	share := (len(updates) + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0)
	for begin := 0; begin < len(updates); begin += share {
		part := updates[begin:min(begin+share, len(updates))]
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range part {
				p.engine.Ingest(&part[i])
			}
		}()
	}
	workers.Wait()
	return p.tell(used() - begun)
}

// repeat gives the windows of the campaigns there are to so many times as many.
func (p *peer) repeat() error {
	var times uint32
	if err := binary.Read(p.in, binary.LittleEndian, &times); err != nil {
		return err
	}
	first := p.engine.running
	p.start(len(first) * int(times))
	for number, campaign := range p.engine.running[len(first):] {
		for platform, window := range campaign.windows {
			from := first[number%len(first)].windows[platform]
			window.samples = append(window.samples, from.samples...)
			window.head = from.head
		}
		campaign.spent = first[number%len(first)].spent
	}
	return p.tell(0)
}

func (p *peer) decide() error {
	var now float64
	if err := binary.Read(p.in, binary.LittleEndian, &now); err != nil {
		return err
	}
	begun := used()
	p.engine.Decide(now, p.decisions)
	if err := p.tell(used() - begun); err != nil {
		return err
	}
	var answer [32]byte
	for i := range p.decisions {
		one := &p.decisions[i]
		of := &one.Forecast
		binary.LittleEndian.PutUint64(answer[:], uint64(one.Bid))
		for at, number := range [...]float64{one.Score, of.CPC, of.CVR, of.Confidence, one.Pacing} {
			binary.LittleEndian.PutUint32(answer[8+at*4:], math.Float32bits(float32(number)))
		}
		binary.LittleEndian.PutUint32(answer[28:], uint32(one.Platform))
		if _, err := p.out.Write(answer[:]); err != nil {
			return err
		}
	}
	return nil
}

// used returns the processor time of this program in nanoseconds, divided by its cores: what the clock on
// the wall would show if no core ever waited, whatever else the machine does.
func used() uint64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return uint64(usage.Utime.Nano()+usage.Stime.Nano()) / uint64(runtime.GOMAXPROCS(0))
}

func (p *peer) tell(number uint64) error {
	return binary.Write(p.out, binary.LittleEndian, number)
}

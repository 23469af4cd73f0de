// A campaign is a goroutine: it decides when it is told the time, and sends what it decided.

package main

import (
	"math"
	"sync"
)

// Terms are what a campaign wants: amounts in micros, times in milliseconds.
type Terms struct {
	Value, Most, Budget, Starts, Ends float64
}

// Decision is the bid of one campaign.
type Decision struct {
	Campaign int
	Platform int
	Forecast Forecast
	Score    float64
	Pacing   float64
	Bid      int64
}

// Campaign has a window on every platform.
type Campaign struct {
	number  int
	terms   Terms
	windows []*Window
	times   chan float64
	mu      sync.Mutex
	spent   float64 // under mu
}

const horizon = 2000

// Run decides for every time it is told, until there are no more.
func (c *Campaign) Run(decisions chan<- Decision) {
	for now := range c.times {
		decisions <- c.decide(now)
	}
}

// Add takes in a sample of one platform.
func (c *Campaign) Add(platform int, sample Sample) {
	c.windows[platform].Add(sample)
	c.mu.Lock()
	c.spent += sample.Spend
	c.mu.Unlock()
}

func (c *Campaign) decide(now float64) Decision {
	best := Decision{Campaign: c.number, Score: math.Inf(-1)}
	for platform, window := range c.windows {
		forecast := window.Forecast(now, horizon)
		score := forecast.Confidence * (forecast.CVR*c.terms.Value - forecast.CPC)
		if score > best.Score {
			best.Platform, best.Forecast, best.Score = platform, forecast, score
		}
	}
	c.mu.Lock()
	left := c.terms.Budget - c.spent
	c.mu.Unlock()
	flightLeft := (c.terms.Ends - startTick - now) / (c.terms.Ends - c.terms.Starts)
	if left > 0 && flightLeft > 0 {
		best.Pacing = min(left/(c.terms.Budget*flightLeft), 1)
	}
	if best.Score > 0 {
		best.Bid = int64(min(best.Forecast.CVR*c.terms.Value*best.Pacing, c.terms.Most))
	}
	return best
}

// Engine knows the campaigns by their ids.
type Engine struct {
	mu        sync.RWMutex
	campaigns map[string]*Campaign
	running   []*Campaign
	decisions chan Decision
}

// NewEngine returns an engine without campaigns.
func NewEngine() *Engine {
	return &Engine{campaigns: map[string]*Campaign{}, decisions: make(chan Decision, 1024)}
}

// Start adds a campaign and its goroutine.
func (e *Engine) Start(id string, terms Terms, platforms, capacity int) *Campaign {
	campaign := &Campaign{number: len(e.running), terms: terms, times: make(chan float64, 1)}
	for range platforms {
		window := &Window{samples: make([]Sample, 0, capacity)}
		campaign.windows = append(campaign.windows, window)
	}
	e.mu.Lock()
	e.campaigns[id] = campaign
	e.mu.Unlock()
	e.running = append(e.running, campaign)
	go campaign.Run(e.decisions)
	return campaign
}

// Update is a sample as it arrives.
type Update struct {
	ID       string
	Platform int
	Sample   Sample
}

// Ingest takes in one update; it may be called from several goroutines.
func (e *Engine) Ingest(update *Update) bool {
	e.mu.RLock()
	campaign, ok := e.campaigns[update.ID]
	e.mu.RUnlock()
	if ok {
		campaign.Add(update.Platform, update.Sample)
	}
	return ok
}

// Decide tells every campaign the time and gathers what they decide.
func (e *Engine) Decide(now float64, into []Decision) {
	go func() {
		for _, campaign := range e.running {
			campaign.times <- now
		}
	}()
	for range e.running {
		decision := <-e.decisions
		into[decision.Campaign] = decision
	}
}

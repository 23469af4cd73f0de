// A window of one campaign on one platform, its regression, and the forecast kept until a sample comes.

package main

import (
	"math"
	"sync"
)

// Sample is what a platform reported for one stretch of time.
type Sample struct {
	At          float64 // milliseconds
	Clicks      float64
	Conversions float64
	Spend       float64 // micros
}

// Forecast is what a window says of a time ahead.
type Forecast struct {
	CPC        float64 // micros
	CVR        float64
	Confidence float64
}

// Window keeps the newest samples in a ring; its mutex is held for every sample and every forecast.
type Window struct {
	mu      sync.Mutex
	samples []Sample
	head    int
	isFresh bool // whether forecast is of these samples and this time
	now     float64
	kept    Forecast
}

// Add takes in a sample; the oldest leaves once the window is full.
func (w *Window) Add(sample Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.samples) < cap(w.samples) {
		w.samples = append(w.samples, sample)
	} else {
		w.samples[w.head] = sample
		w.head = (w.head + 1) % len(w.samples)
	}
	w.isFresh = false
}

// Forecast returns what the window says at a time of another, from what was kept if nothing changed.
func (w *Window) Forecast(now, horizon float64) Forecast {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isFresh || w.now != now {
		w.kept, w.isFresh, w.now = w.forecast(now, horizon), true, now
	}
	return w.kept
}

func (w *Window) forecast(now, horizon float64) Forecast {
	var clicks, time float64
	var n int
	for i := range w.samples {
		sample := &w.samples[i]
		clicks += sample.Clicks
		time += sample.Clicks * sample.At
		if sample.Clicks > 0 {
			n++
		}
	}
	if n < 3 {
		return Forecast{}
	}
	center := time / clicks
	var moment, spend, cpcTime, cpcSquares, conversions, cvrTime, cvrSquares float64
	for i := range w.samples {
		sample := &w.samples[i]
		if sample.Clicks == 0 {
			continue
		}
		at := sample.At - center
		moment += sample.Clicks * at * at
		spend += sample.Spend
		cpcTime += sample.Spend * at
		cpcSquares += sample.Spend * sample.Spend / sample.Clicks
		conversions += sample.Conversions
		cvrTime += sample.Conversions * at
		cvrSquares += sample.Conversions * sample.Conversions / sample.Clicks
	}
	count, ahead := float64(n), now+horizon-center
	cpc, cpcAgrees := line(ahead, count, clicks, moment, spend, cpcTime, cpcSquares)
	cvr, cvrAgrees := line(ahead, count, clicks, moment, conversions, cvrTime, cvrSquares)
	size := count / (count + 3) * clicks / (clicks + 30) * (1 + conversions/(conversions+10)) / 2
	cadence := math.Sqrt(12 / (count*count - 1) * moment / clicks)
	missed := max((now-center)/cadence-(count+1)/2, 0) / 8
	return Forecast{
		CPC:        max(cpc, 0),
		CVR:        min(max(cvr, 0), 1),
		Confidence: size / (1 + missed*missed) * (cpcAgrees + cvrAgrees) / 2,
	}
}

// line returns the line's value so far after the mean time, and how far samples agree with it.
func line(ahead, n, clicks, moment, total, time, squares float64) (float64, float64) {
	mean, slope := total/clicks, time/moment
	left := max(squares-total*mean-slope*time, 0)
	variance := left / (n - 2) * n / clicks
	return mean + slope*ahead, mean * mean / (mean*mean + variance)
}

// A window of one campaign on one platform, its regression, and the forecast kept until a sample comes.

package main

import "sync"

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
	due     float64
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

// Forecast returns what the window says of a time, from what was kept if nothing changed.
func (w *Window) Forecast(due float64) Forecast {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isFresh || w.due != due {
		w.kept, w.isFresh, w.due = w.forecast(due), true, due
	}
	return w.kept
}

func (w *Window) forecast(due float64) Forecast {
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
	var moment, cpcMean, cpcTime, cpcSquares, cvrMean, cvrTime, cvrSquares float64
	for i := range w.samples {
		sample := &w.samples[i]
		if sample.Clicks == 0 {
			continue
		}
		at := sample.At - center
		moment += sample.Clicks * at * at
		cpcMean += sample.Spend
		cpcTime += sample.Spend * at
		cpcSquares += sample.Spend * sample.Spend / sample.Clicks
		cvrMean += sample.Conversions
		cvrTime += sample.Conversions * at
		cvrSquares += sample.Conversions * sample.Conversions / sample.Clicks
	}
	cpc, cpcAgrees := line(due-center, float64(n), clicks, moment, cpcMean, cpcTime, cpcSquares)
	cvr, cvrAgrees := line(due-center, float64(n), clicks, moment, cvrMean, cvrTime, cvrSquares)
	return Forecast{
		CPC:        max(cpc, 0),
		CVR:        min(max(cvr, 0), 1),
		Confidence: clicks / (clicks + 30) * (cpcAgrees + cvrAgrees) / 2,
	}
}

// line returns the line's value when due, and how far the samples agree with the line.
func line(ahead, n, clicks, moment, total, time, squares float64) (float64, float64) {
	mean, slope := total/clicks, time/moment
	left := max(squares-total*mean-slope*time, 0)
	variance := left / (n - 2) * n / clicks
	return mean + slope*ahead, mean * mean / (mean*mean + variance)
}

package state_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// BenchmarkAppend appends JSON records of about 300 bytes, synced per batch.
func BenchmarkAppend(b *testing.B) {
	record := fmt.Appendf(nil, `{"object":"contoso/5f0c2c0e-7d3f-4c39-9d6e-0c9a4d2f7b11","feature":"users","engine":"connect","displayName":%q}`,
		bytes.Repeat([]byte("n"), 190))
	for _, size := range []int{1, 50, 500, 5000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s, err := state.Open(b.TempDir(), state.Options{Reserve: -1})
			must(b, err)
			batch := make([][]byte, size)
			for i := range batch {
				batch[i] = record
			}
			b.SetBytes(int64(size * len(record)))
			for b.Loop() {
				_, err := s.Log.Append(bg, batch)
				must(b, err)
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "records/s")
			must(b, s.Close())
		})
	}
}

// BenchmarkAppendConcurrent appends single records from many goroutines, which share syncs.
func BenchmarkAppendConcurrent(b *testing.B) {
	s, err := state.Open(b.TempDir(), state.Options{Reserve: -1})
	must(b, err)
	record := bytes.Repeat([]byte("r"), 300)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Log.Append(bg, [][]byte{record}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	must(b, s.Close())
}

// BenchmarkRead reads a log of 200,000 records with every check.
func BenchmarkRead(b *testing.B) {
	s, err := state.Open(b.TempDir(), state.Options{Reserve: -1})
	must(b, err)
	batch := make([][]byte, 5000)
	for i := range batch {
		batch[i] = bytes.Repeat([]byte("r"), 300)
	}
	for range 40 {
		_, err := s.Log.Append(bg, batch)
		must(b, err)
	}
	b.SetBytes(200_000 * 300)
	for b.Loop() {
		must(b, s.Log.Verify(bg))
	}
	b.ReportMetric(200_000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	must(b, s.Close())
}

// BenchmarkControlUpdate commits one small value durably.
func BenchmarkControlUpdate(b *testing.B) {
	s, err := state.Open(b.TempDir(), state.Options{Reserve: -1})
	must(b, err)
	for b.Loop() {
		must(b, s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }))
	}
	must(b, s.Close())
}

// BenchmarkIndex puts values of 700 bytes in key order, 5,000 per commit that is not synced.
func BenchmarkIndex(b *testing.B) {
	s, err := state.Open(b.TempDir(), state.Options{Reserve: -1})
	must(b, err)
	x, err := s.Index("bench", "bench", 1)
	must(b, err)
	value, n := bytes.Repeat([]byte("v"), 700), 0
	for b.Loop() {
		must(b, x.UpdateNoSync(bg, func(tx state.Tx) error {
			for range 5000 {
				n++
				if err := tx.Put("b", fmt.Sprintf("%012d", n), value); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
	must(b, s.Close())
}

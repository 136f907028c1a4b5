package main

import (
	"io"
	"testing"

	"github.com/tandem-sync/tandem/cmd/shell/shelltest"
)

func TestEveryCommandIsInCompletionAndManual(t *testing.T) {
	shelltest.Check(t, app(io.Discard, io.Discard), manualSections()...)
}

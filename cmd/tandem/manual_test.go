package main

import (
	"testing"

	"github.com/tandem-sync/tandem/cmd/shell/shelltest"
)

func TestEveryCommandIsInCompletionAndManual(t *testing.T) {
	shelltest.Check(t, newApp(), manualSections()...)
}

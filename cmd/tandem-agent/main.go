// Command tandem-agent is the lightweight agent of Tandem's cloudsync engine: it sits next to a domain controller and dials
// out to the service. Its commands and flags are described in the design's contract, and by tandem-agent help.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes: those of tandem itself, and one for an agent that was removed from the service, which there is no use in starting again.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitRemoved = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := app(os.Stdout, os.Stderr).RunContext(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "tandem-agent:", err)
		stop()
		os.Exit(codeOf(err))
	}
}

package main

import "github.com/tandem-sync/tandem/cmd/shell"

// manualSections are what the manual tells beside the commands.
func manualSections() []shell.Section {
	return []shell.Section{
		{Title: "FILES", Lines: []string{defaultDir() + ": identity, key and passwords of the agent; /etc/default/tandem-agent: environment of the service"}},
		{Title: "ENVIRONMENT", Lines: []string{"HTTPS_PROXY, NO_PROXY: a proxy through which the service is reached (HTTP CONNECT), and for whom it is not used"}},
		{Title: "EXIT STATUS", Lines: []string{"0: done", "1: failed", "2: wrong usage", "5: the agent was removed from the service; starting it again is of no use"}},
		{Title: "SEE ALSO", Lines: []string{"tandem(1), systemctl(1), journalctl(1)"}},
	}
}

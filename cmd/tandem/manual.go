package main

import "github.com/tandem-sync/tandem/cmd/shell"

// manualSections are what the manual tells beside the commands.
func manualSections() []shell.Section {
	return []shell.Section{
		{Title: "FILES", Lines: []string{"/etc/tandem/tandem.yaml: the configuration, where neither --config nor $TANDEM_CONFIG names one and ./tandem.yaml is not there", "/etc/default/tandem: environment of the service",
			"/var/lib/tandem: the state of the service"}},
		{Title: "ENVIRONMENT", Lines: []string{"TANDEM_CONFIG: the configuration's path", "TANDEM_MACHINE_ID: what tells this machine from others, for containers", "TANDEM_PROFILE: a folder that gets profiles of the process",
			"NO_COLOR: nothing is printed bold"}},
		{Title: "EXIT STATUS", Lines: []string{"0: done", "1: failed", "2: wrong usage or configuration", "3: stopped at a checkpoint that waits for a person, or writing is stopped", "4: differences or blockers found"}},
		{Title: "SEE ALSO", Lines: []string{"tandem-agent(1), systemctl(1), journalctl(1)"}},
	}
}

package metrics

// family is one metric: its name, what it is, and its labels.
type family struct {
	name, help string
	labels     []string
	counts     bool // a counter; a gauge otherwise
}

func of(labels ...string) []string { return labels }

// families are all metrics of Tandem but those of the Go runtime and the process. Names and units are stable: dashboards and alerts are written against them.
var families = []family{
	{name: "tandem_healthy", help: "1 while there is no outage: this host may write, everything was reached in its last try, and no loop stands still."},
	{name: "tandem_alarm_active", help: "1 for each thing that is wrong or waits for a person.", labels: of("event", "level", "cause")},
	{name: "tandem_read_only", help: "1 while this host may not write to the tenant at all."},
	{name: "tandem_mark_ours", help: "1 while the tenant's mark does not forbid this host to write."},
	{name: "tandem_mark_read_timestamp_seconds", help: "When the tenant's mark was read last."},
	{name: "tandem_policy_revision", help: "Revision of the partition in force; 0: none is."},
	{name: "tandem_stops", help: "Stops of writing in force."},
	{name: "tandem_stop_since_timestamp_seconds", help: "When a stop was ordered.", labels: of("stop")},

	{name: "tandem_directory_up", help: "1 when the directory was reached in the last try.", labels: of("directory")},
	{name: "tandem_directory_last_success_timestamp_seconds", help: "When the directory was last reached.", labels: of("directory")},
	{name: "tandem_directory_last_try_timestamp_seconds", help: "When the directory was last tried.", labels: of("directory")},
	{name: "tandem_directory_consecutive_failures", help: "Tries in a row in which the directory was not reached.", labels: of("directory")},
	{name: "tandem_directory_try_duration_seconds", help: "How long the last try of the directory took.", labels: of("directory")},
	{name: "tandem_directory_objects", help: "Objects of the directory that the host knows.", labels: of("directory")},
	{name: "tandem_directory_deletes_provable", help: "1 when the directory's account sees deleted objects.", labels: of("directory")},

	{name: "tandem_tenant_up", help: "1 when the tenant was reached in the last try."},
	{name: "tandem_tenant_last_success_timestamp_seconds", help: "When the tenant was last reached."},
	{name: "tandem_tenant_last_try_timestamp_seconds", help: "When the tenant was last tried."},
	{name: "tandem_tenant_consecutive_failures", help: "Tries in a row in which the tenant was not reached."},
	{name: "tandem_tenant_try_duration_seconds", help: "How long the last try of the tenant took."},
	{name: "tandem_tenant_requests_total", help: "Requests to the tenant.", counts: true},
	{name: "tandem_tenant_writes_total", help: "Writes to the tenant, several of which may go in one request.", counts: true},
	{name: "tandem_tenant_throttled_total", help: "Requests and writes that the tenant put off.", counts: true},

	{name: "tandem_engine_up", help: "1 when the engine completed its last run.", labels: of("engine")},
	{name: "tandem_engine_last_success_timestamp_seconds", help: "When the engine last completed a run.", labels: of("engine")},
	{name: "tandem_engine_last_try_timestamp_seconds", help: "When the engine's last run ended.", labels: of("engine")},
	{name: "tandem_engine_consecutive_failures", help: "Runs in a row that the engine did not complete.", labels: of("engine")},
	{name: "tandem_engine_run_duration_seconds", help: "How long the engine's last run took.", labels: of("engine")},
	{name: "tandem_engine_lag_seconds", help: "Age of the newest change in the directory that the engine may not have brought to the tenant: the time since its last complete run began.", labels: of("engine")},
	{name: "tandem_engine_running", help: "1 while a scheduled run of the engine is under way.", labels: of("engine")},
	{name: "tandem_engine_next_run_timestamp_seconds", help: "When the engine's next scheduled run begins.", labels: of("engine")},
	{name: "tandem_engine_last_full_run_timestamp_seconds", help: "When the engine last evaluated everything.", labels: of("engine")},
	{name: "tandem_engine_healthy", help: "1 when the engine says so of itself.", labels: of("engine")},
	{name: "tandem_engine_stopped", help: "1 while all writing of the engine is stopped.", labels: of("engine")},
	{name: "tandem_engine_process_restarts_total", help: "Processes of the engine that ended and were started again.", labels: of("engine"), counts: true},
	{name: "tandem_engine_unsettled_features", help: "Features of objects that have not settled and are the engine's.", labels: of("engine")},
	{name: "tandem_engine_failed_objects", help: "Objects that failed in the engine's last run.", labels: of("engine")},
	{name: "tandem_runs_total", help: "Runs by how they ended: complete, incomplete or failed. Stream is empty for the runs that bring objects.", labels: of("engine", "stream", "result"), counts: true},
	{name: "tandem_writes_total", help: "Objects written to the tenant.", labels: of("engine", "operation"), counts: true},

	{name: "tandem_agents_usable", help: "Agents that can read the directory.", labels: of("engine", "directory")},
	{name: "tandem_agents_required", help: "Agents that the settings demand.", labels: of("engine", "directory")},
	{name: "tandem_agents_troubled", help: "Agents that are away, fail or lack a right.", labels: of("engine")},

	{name: "tandem_linked_objects", help: "Objects of the tenant that are linked to one of a directory.", labels: of("kind")},
	{name: "tandem_unsettled_features", help: "Features of objects that have not settled."},
	{name: "tandem_writes_in_doubt", help: "Writes to the tenant whose answer is missing."},
	{name: "tandem_deliveries_in_doubt", help: "Writes into directories whose answer is missing."},
	{name: "tandem_held_sets", help: "Held sets that wait for a person.", labels: of("engine", "class")},
	{name: "tandem_held_writes", help: "Writes in the held sets that wait for a person.", labels: of("engine", "class")},
	{name: "tandem_held_oldest_timestamp_seconds", help: "Since when the oldest held set waits; 0: none does."},

	{name: "tandem_waves", help: "Waves by state.", labels: of("state")},
	{name: "tandem_wave_waiting_since_timestamp_seconds", help: "Since when a wave waits, and what for.", labels: of("wave", "for")},
	{name: "tandem_wave_freeze_seconds", help: "How long the freezes of waves lasted that cut over, all since the state was made."},

	{name: "tandem_loops_stalled", help: "Loops of the daemon that stand still."},
	{name: "tandem_state_free_bytes", help: "Free space of the file system that holds the state."},
	{name: "tandem_state_size_bytes", help: "Size of the file system that holds the state."},
	{name: "tandem_state_full", help: "1 while the state cannot grow."},
	{name: "tandem_certificate_expiry_timestamp_seconds", help: "When a certificate ends.", labels: of("of")},
	{name: "tandem_index_mended_total", help: "Debts that were found wrong by comparing everything, and fixed: 0 unless the program is wrong.", counts: true},

	{name: "tandem_notifications_delivered_total", help: "Notifications that a channel took.", labels: of("channel"), counts: true},
	{name: "tandem_notification_failures_total", help: "Attempts to deliver a notification that failed.", labels: of("channel"), counts: true},
	{name: "tandem_notifications_dropped_total", help: "Notifications that were given up: too many waited, or one waited for a day.", labels: of("channel"), counts: true},
	{name: "tandem_notification_queue_length", help: "Notifications that wait to be delivered.", labels: of("channel")},
	{name: "tandem_notification_oldest_timestamp_seconds", help: "Since when the oldest of those waits; 0: none does.", labels: of("channel")},
}

// freezeBuckets bound the histogram of freezes, in seconds: the aim is under a second, and a freeze ends by itself after twenty.
var freezeBuckets = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20}

// Names returns the names of all families. Tests compare dashboards, alerts and the handbook with it.
func Names() []string {
	var out []string
	for _, f := range families {
		out = append(out, f.name)
	}
	return out
}

// Labels returns the labels of the family with that name, and whether there is one.
func Labels(name string) ([]string, bool) {
	for _, f := range families {
		if f.name == name {
			return f.labels, true
		}
	}
	return nil, false
}

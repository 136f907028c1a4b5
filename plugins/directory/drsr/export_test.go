package drsr

// AskForAll lets a session ask for all attributes from the beginning, as after a refusal.
func AskForAll(s *Session, whole bool) { s.whole = whole }

// PanicBetween lets everything that handles hashes panic while they are at hand, at the n-th place that is reached.
func PanicBetween(n int) {
	between = func() {
		if n--; n == 0 {
			panic("forced")
		}
	}
}

// Unwrap and ParseReply are tried alone.
var (
	Unwrap     = unwrap
	ParseReply = func(b []byte) (objects int, err error) {
		r, err := parseReply(b)
		return len(r.objects), err
	}
)

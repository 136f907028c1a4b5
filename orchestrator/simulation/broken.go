package simulation

// The broken variants. Each takes one safeguard out, at a seam or by gate.Safeguard; a simulation that does not notice is worth nothing.
const (
	// CookieTooEarly: an engine saves its watermark before what it still has to propose (rule P3).
	CookieTooEarly Broken = "cookie saved before the proposals are stored"
)

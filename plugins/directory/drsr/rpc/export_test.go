package rpc

// ParseMap is fuzzed alone.
var ParseMap = parseMap

// Limit bounds the length of answers.
func Limit(c *Conn, longest int) { c.longest = longest }

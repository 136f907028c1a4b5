package password

// IsComplex is the rule by itself.
func IsComplex(password string, names ...string) bool { return isComplex([]byte(password), names) }

// PanicBetween lets every method panic while plain values are at hand.
func PanicBetween() { between = func() { panic("forced") } }

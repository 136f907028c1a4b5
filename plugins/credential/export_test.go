package credential

// PanicBetween lets every decoder panic while plain values are at hand.
func PanicBetween() { between = func() { panic("forced") } }

package credential

// PanicBetween lets every decoder panic while plain values are at hand.
func PanicBetween() { between = func() { panic("forced") } }

// DeriveWith derives with another number of iterations, for published vectors.
var DeriveWith = deriveWith

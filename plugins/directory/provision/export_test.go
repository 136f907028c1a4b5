package provision

// Between calls f when everything was looked at, right before an operation is sent, until the returned function is called.
func Between(f func()) (end func()) {
	between = f
	return func() { between = nil }
}

// PasswordStamp is the parser.
var PasswordStamp = passwordStamp

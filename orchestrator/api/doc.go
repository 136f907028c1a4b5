// Package api is the one way in: an HTTP handler over a running Tandem, its client, and the JSON that scripts rely on.
//
// Every command is a POST of JSON to /v1/NAME. The answer is NDJSON: any number of progress lines and items, then exactly one line with a result or
// an error. The process that holds the state folder serves this handler on a socket inside it (mode 0600 in a folder 0700), even for a one-shot
// command. Connect returns a client, whether the folder was free (the handler then runs in this process) or is held by another process.
//
// Errors cross the socket with their kind, hint and exit code, and the person behind a request is the one that the operating system names for the
// other end of the socket. The package serves nothing beyond that socket.
package api

// Package api is the one way in: an HTTP handler over a running Tandem, its client, and the JSON that people's scripts rely on.
//
// Every command is a POST of JSON to /v1/NAME. The answer is NDJSON: any number of progress lines and items, then exactly one line with a result or
// an error. Whoever holds the state folder serves this handler on a socket inside it (mode 0600 in a folder 0700), one-shot commands too; Connect
// gives a client that needs not know whether the folder was free (the handler then runs in this process) or held by another process.
//
// It promises that errors cross the socket with their kind, hint and exit code, and that the person behind a request is the one whom the operating
// system names for the other end of the socket. It does not serve anything beyond that socket.
package api

package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// The filters of what is read. Changes must not filter by attributes that tombstones lose.
const (
	changesFilter    = "(|(objectClass=user)(objectClass=group)(objectClass=contact)" + holders + ")"
	containersFilter = "(|" + holders + ")"
	holders          = "(objectClass=organizationalUnit)(objectClass=container)(objectClass=builtinDomain)(objectClass=domainDNS)" +
		"(objectClass=lostAndFound)(objectClass=msExchSystemObjectsContainer)"
)

// answer serves one request. Its error says that the line broke; what the directory refuses is an answer (Failure).
func answer(ctx context.Context, client linepb.LineClient, r *reader, request *linepb.Request, permit <-chan *linepb.Permit) error {
	stream, err := client.Answer(ctx)
	if err != nil {
		return err
	}
	p := &parts{stream: stream, request: request.Id}
	stop := p.alive()
	end, failure := read(ctx, r, request, permit, p)
	stop()
	if p.broken != nil {
		return p.broken
	}
	if failure != nil {
		p.send(&linepb.Part{Is: &linepb.Part_Failure{Failure: failureOf(failure)}})
	} else if p.flush() == nil {
		p.send(&linepb.Part{Is: &linepb.Part_End{End: end}})
	}
	if p.broken != nil {
		return p.broken
	}
	_, err = stream.CloseAndRecv()
	return err
}

// read does what the request asks, between the Start that it sends and the End that it returns.
func read(ctx context.Context, r *reader, request *linepb.Request, permit <-chan *linepb.Permit, p *parts) (*linepb.End, error) {
	if d := request.GetDeliver(); d != nil {
		return &linepb.End{}, deliver(ctx, r.writer, d, permit, p)
	}
	if w := request.GetProvision(); w != nil {
		return &linepb.End{}, write(ctx, r.sink, w, permit, p)
	}
	if request.GetPasswords() != nil {
		return passwords(ctx, r, request, p)
	}
	if c := request.GetChanges(); c != nil && len(c.Cookie) > 0 {
		if s, usn := r.trusted(request.Controller, c.Invocation); s != nil && !has(s, usn, request.AsOf) {
			r.release(s, usn) // the host has seen something newer: how far the controller is has to be asked
		} else if s != nil {
			return readTrusting(ctx, r, s, usn, request, p)
		}
	}
	s, usn, err := r.current(ctx, request)
	if err != nil {
		return nil, err
	}
	if err := p.begin(r, s, usn, request.AsOf != nil); err != nil {
		r.release(s, usn)
		return nil, err
	}
	return readOn(ctx, r, s, usn, request, p)
}

// readOn does what the request asks after the Start.
func readOn(ctx context.Context, r *reader, s *directory.Session, usn uint64, request *linepb.Request, p *parts) (*linepb.End, error) {
	end, err := readWith(ctx, s, r.sink.Own, request, p)
	if err != nil {
		s.Close() // it may have been left in the middle of an answer
		return nil, err
	}
	r.release(s, usn)
	return end, nil
}

// readTrusting asks for changes with a session that lay idle and was not tried out, and with the USN of an earlier time, which is a lower
// bound. When the session turns out to be dead another one to the same database takes over, as long as nothing has been told.
func readTrusting(ctx context.Context, r *reader, s *directory.Session, usn uint64, request *linepb.Request, p *parts) (*linepb.End, error) {
	if err := p.begin(r, s, usn, request.AsOf != nil); err != nil {
		r.release(s, usn)
		return nil, err
	}
	quick, end := context.WithCancelCause(ctx)
	defer end(nil)
	patience := time.AfterFunc(idlePatience, func() { end(directory.ErrTimeout) })
	defer patience.Stop()
	p.first = func() { patience.Stop() }
	out, err := readWith(quick, s, r.sink.Own, request, p)
	p.first = nil
	if err == nil {
		r.release(s, usn)
		return out, nil
	}
	s.Close()
	if p.told || ctx.Err() != nil || !(errors.Is(err, directory.ErrTimeout) || errors.Is(err, directory.ErrUnreachable)) {
		return nil, err
	}
	if errors.Is(err, directory.ErrTimeout) {
		r.distrust()
	}
	s, usn, err = r.current(ctx, request)
	if err != nil {
		return nil, err
	}
	return readOn(ctx, r, s, usn, request, p) // another database is refused there
}

func readWith(ctx context.Context, s *directory.Session, own []string, request *linepb.Request, p *parts) (*linepb.End, error) {
	switch is := request.Is.(type) {
	case *linepb.Request_Changes:
		return changes(ctx, s, is.Changes, request.Attributes, p)
	case *linepb.Request_Containers:
		return &linepb.End{}, s.Search(ctx, directory.SearchQuery{Filter: containersFilter, Attrs: []string{"objectClass"}}, p.entry)
	case *linepb.Request_Objects:
		return objects(ctx, s, is.Objects.Guids, request.Attributes, p)
	case *linepb.Request_Resolve:
		return resolve(ctx, s, is.Resolve.Reference, request.Attributes, p)
	case *linepb.Request_Ping:
		return &linepb.End{}, nil
	case *linepb.Request_Look:
		return &linepb.End{}, look(ctx, s, own, is.Look, p)
	}
	return nil, errRequest
}

var (
	errRequest = errors.New("this agent does not know the request: install the version of tandem-agent that comes with the service")
	errOther   = errors.New("this agent reads another controller than the one that gave the cookie")
)

func changes(ctx context.Context, s *directory.Session, c *linepb.Changes, attrs []string, p *parts) (*linepb.End, error) {
	if own := s.Controller().InvocationID; len(c.Cookie) > 0 && string(own[:]) != string(c.Invocation) {
		return nil, errOther
	}
	cookie, err := s.Sync(ctx, c.Cookie, directory.SyncQuery{Filter: changesFilter, Attrs: attrs}, func(e directory.Entry) error {
		return p.entry(slim(e))
	})
	return &linepb.End{Cookie: cookie}, err
}

// slim leaves of a change only what says that there is one, and where: the service reads changed objects whole.
func slim(e directory.Entry) directory.Entry {
	e.Links = nil
	if class, ok := e.Attrs["objectclass"]; ok {
		e.Attrs = map[string][][]byte{"objectclass": class}
	} else {
		e.Attrs = nil
	}
	return e
}

func objects(ctx context.Context, s *directory.Session, packed []byte, attrs []string, p *parts) (*linepb.End, error) {
	guids, err := line.Unpack(packed)
	if err != nil {
		return nil, err
	}
	found, err := s.ByGUID(ctx, guids, attrs, true)
	if err != nil {
		return nil, err
	}
	for _, g := range guids {
		e, ok := found[g]
		if !ok {
			continue
		}
		if err := p.entry(e); err != nil {
			return nil, err
		}
	}
	return &linepb.End{}, nil
}

func resolve(ctx context.Context, s *directory.Session, reference string, attrs []string, p *parts) (*linepb.End, error) {
	guid, _, _, err := s.Resolve(ctx, reference)
	if err != nil {
		return nil, err
	}
	found, err := s.ByGUID(ctx, []scoping.GUID{guid}, attrs, false)
	if err != nil {
		return nil, err
	}
	e, ok := found[guid]
	if !ok {
		return nil, fmt.Errorf("read %q: %w", reference, directory.ErrNoSuchObject)
	}
	return &linepb.End{}, p.entry(e)
}

func failureOf(err error) *linepb.Failure {
	code := line.CodeDirectory
	var replication *drsr.Error
	switch {
	case errors.As(err, &replication):
		code = string(replication.Code)
	case errors.Is(err, passwordhash.ErrNoAccount):
		code = line.CodeNoAccount
	case errors.Is(err, directory.ErrCookie):
		code = line.CodeCookie
	case errors.Is(err, errOther):
		code = line.CodeOtherController
	case errors.Is(err, errController):
		code = line.CodeController
	case errors.Is(err, directory.ErrBehind), errors.Is(err, directory.ErrUnproved):
		code = line.CodeBehind
	case errors.Is(err, directory.ErrNoSuchObject):
		code = line.CodeNotFound
	case errors.Is(err, errRequest):
		code = line.CodeRequest
	}
	return &linepb.Failure{Code: code, Message: err.Error()}
}

// parts sends an answer piece by piece, entries in batches. send and entry belong to one goroutine; alive adds its own sign of
// life between them.
type parts struct {
	stream  grpc.ClientStreamingClient[linepb.Part, linepb.Received]
	request uint64
	batch   [][]byte
	size    int
	told    bool   // an entry came
	first   func() // called when the first comes; nil: nobody waits for it

	mu     sync.Mutex
	broken error // the line's error: nothing can be sent any more
}

func (p *parts) send(part *linepb.Part) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	part.Request = p.request
	if err := p.stream.Send(part); err != nil {
		p.broken = fmt.Errorf("send to the service: %w", err)
	}
	return p.broken
}

// begin sends the Start.
func (p *parts) begin(r *reader, s *directory.Session, usn uint64, reached bool) error {
	c := s.Controller()
	lacks, _ := r.rights.get()
	return p.send(&linepb.Part{Is: &linepb.Part_Start{Start: &linepb.Start{Invocation: c.InvocationID[:], Usn: usn, Root: c.Root[:],
		Controller: c.URL, Lacks: lacks, Reached: reached}}})
}

func (p *parts) entry(e directory.Entry) error {
	if !p.told && p.first != nil {
		p.first()
	}
	p.told = true
	b := e.Encode()
	p.batch = append(p.batch, b)
	p.size += len(b)
	if len(p.batch) < line.BatchEntries && p.size < line.BatchBytes {
		return nil
	}
	return p.flush()
}

func (p *parts) flush() error {
	if len(p.batch) == 0 {
		return nil
	}
	err := p.send(&linepb.Part{Is: &linepb.Part_Entries{Entries: &linepb.Entries{Entries: p.batch}}})
	p.batch, p.size = nil, 0
	return err
}

// alive says at intervals that the agent is at work, while its controller thinks. stop ends it and waits for its end.
func (p *parts) alive() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(line.AliveEvery)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				p.send(&linepb.Part{Is: &linepb.Part_Alive{Alive: &linepb.Alive{}}})
			}
		}
	}()
	return func() { close(done); <-ended }
}

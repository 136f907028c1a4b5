package cloudsync_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// dying is an agent that dies in the middle of its answer to the n-th request: after Start and some entries that are true, and
// one that is not.
func dying(t *testing.T, w *world, id agent.Identity, n int) {
	t.Helper()
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	check(t, err)
	client := linepb.NewLineClient(conn)
	inv, root := w.model.InvocationID(), w.guid(w.model.Base())
	attend, err := client.Attend(context.Background(), &linepb.AttendRequest{Base: id.Connection.Base, Invocation: inv[:]})
	check(t, err)
	if _, err := attend.Header(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-ended })
	go func() {
		defer close(ended)
		defer conn.Close()
		for i := 1; ; i++ {
			r, err := attend.Recv()
			if err != nil {
				return
			}
			a, err := client.Answer(context.Background())
			if err != nil {
				return
			}
			ghost := directory.Entry{GUID: scoping.GUID{9, 9, 9}, Parent: root, DN: "CN=Ghost", Attrs: map[string][][]byte{"objectclass": {[]byte("user")}}}
			a.Send(&linepb.Part{Request: r.Id, Is: &linepb.Part_Start{Start: &linepb.Start{Invocation: inv[:], Usn: 1, Root: root[:]}}})
			a.Send(&linepb.Part{Request: r.Id, Is: &linepb.Part_Entries{Entries: &linepb.Entries{Entries: [][]byte{ghost.Encode()}}}})
			if i == n {
				return // the connection is cut
			}
			a.Send(&linepb.Part{Request: r.Id, Is: &linepb.Part_Failure{Failure: &linepb.Failure{Code: line.CodeDirectory, Message: "not today"}}})
			a.CloseAndRecv()
		}
	}()
}

func TestAnswerOfAnAgentThatDiesCountsForNothing(t *testing.T) {
	w := newWorld(t, 10, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	// Agents are chosen by load, then by id: whichever is asked first, the other takes over.
	dying(t, w, w.enrol(), 1)
	dying(t, w, w.enrol(), 2)
	w.attend(w.enrol())
	w.waitAgents(3)
	o := w.run(w.full(all))
	mustComplete(t, o)
	if p := o.of(scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{9, 9, 9}}, scoping.Users); p != nil {
		t.Errorf("what a lost agent told was taken: %+v", p)
	}
	seen := map[string]int{}
	for _, p := range o.base() {
		seen[p.Name]++
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was proposed %d times", name, n)
		}
	}
	if seen[w.dn("CN=sales9,OU=Sales")] != 1 {
		t.Error("an object is missing")
	}
}

func TestRunWhoseOnlyAgentDiesIsNotCompleteAndTheNextOneIsWhole(t *testing.T) {
	w := newWorld(t, 10, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	dying(t, w, w.enrol(), 1)
	w.waitAgents(1)
	o := w.run(w.full(all))
	var none *cloudsync.NoAgentError
	if o.report().Complete || len(o.proposals) != 0 || len(o.report().Errors) != 1 || (o.err != nil && !errors.As(o.err, &none)) {
		t.Fatalf("%v %+v", o.err, o.reports)
	}
	w.attend(w.enrol())
	w.waitAgents(1)
	o = w.run(w.delta(all))
	mustComplete(t, o)
	if len(o.base()) < 22 {
		t.Fatalf("the next run proposed %d", len(o.base()))
	}
}

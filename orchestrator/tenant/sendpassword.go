package tenant

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// passwordsIn returns the indexes of the writes that set passwords and can be sent. It sets the results of those that cannot.
func passwordsIn(writes []cloud.Write, results []cloud.Result) (places []int) {
	for i, w := range writes {
		if w.Op != cloud.SetPassword {
			continue
		}
		if err := w.Valid(); err != nil {
			results[i] = cloud.Result{Status: cloud.Rejected, Code: cloud.CodeImpossible, Message: err.Error()}
			continue
		}
		places = append(places, i)
	}
	return places
}

// sendPasswords sends some passwords in one request, and sets the results of their writes.
func (c *Client) sendPasswords(ctx context.Context, writes []cloud.Write, results []cloud.Result, places []int) {
	items := make([]cloud.CredentialItem, len(places))
	for n, i := range places {
		p := writes[i].Password
		items[n] = cloud.CredentialItem{CloudID: writes[i].CloudID, Credential: p.Credential, ChangedAt: time.Unix(p.Changed, 0).UTC(), By: p.By, MustChange: p.MustChange,
			Log: p.Log, Number: int64(p.Number)}
	}
	answers, err := c.SendCredentials(ctx, items)
	for n, i := range places {
		if err != nil {
			results[i] = cloud.Result{Status: cloud.Rejected, Code: cloud.CodeImpossible, Message: err.Error()}
			continue
		}
		results[i] = answers[n]
	}
}

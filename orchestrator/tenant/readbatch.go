package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
)

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// readParts reads with a $batch, and repeats it with the failed parts until every part was answered by a success or 404. The id of a part is its index, which each gets.
func (c *Client) readParts(ctx context.Context, op string, parts []part, each func(i int, a partAnswer) error) error {
	for attempt := 1; len(parts) > 0; attempt++ {
		answers, err := c.readBatchOnce(ctx, op, parts)
		if err != nil {
			return err
		}
		var rest []part
		var worst *GraphError
		pause := backoff(attempt)
		for _, p := range parts {
			a, ok := answers[p.ID]
			i, _ := strconv.Atoi(p.ID) // the caller made it of a number
			if ok && (a.Status >= 200 && a.Status < 300 || a.Status == http.StatusNotFound) {
				if err := each(i, a); err != nil {
					return err
				}
				continue
			}
			rest = append(rest, p)
			header := http.Header{}
			for k, v := range a.Headers {
				header.Set(k, v)
			}
			worst, _ = graphError(op, a.Status, header, a.Body)
			if asked, said := retryAfter(header.Get("Retry-After"), c.config.Now()); said {
				pause = max(pause, asked)
			}
		}
		if parts = rest; worst == nil {
			return nil
		}
		if attempt == c.patient().attempts || worst.HTTP != 0 && !passing(worst) {
			return worst
		}
		if err := c.config.Wait(ctx, pause); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	return nil
}

func (c *Client) readBatchOnce(ctx context.Context, op string, parts []part) (map[string]partAnswer, error) {
	body, err := json.Marshal(map[string]any{"requests": parts})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	a, err := c.patient().read(ctx, op, "", func() (*abs.RequestInformation, error) { return c.request(abs.POST, "/$batch", body) })
	if err != nil {
		return nil, err
	}
	answers, err := readBatch(a.Body)
	if err != nil {
		return nil, garbage(op, a, err)
	}
	return answers, nil
}

package advisory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
)

// Service asks a service that speaks the OSV API. The service learns the names and
// versions of the packages in a lock, so mcpen asks it only on request.
type Service struct {
	URL    string // base, such as "https://host"; nothing is assumed
	Client *http.Client
}

// Find asks about every package of a lock.
func (o Service) Find(ctx context.Context, l pack.Lock) ([]Finding, error) {
	ref, err := l.Ref()
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("cannot ask the advisory service %q: want an http or https address", o.URL)
	}
	ids, err := o.ids(ctx, base, ref.Ecosystem, l.Dependencies)
	if err != nil {
		return nil, err
	}
	names, err := namesOf(l)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, id := range ids {
		if strings.ContainsAny(id, "/?#%\\") || id == "" {
			return nil, fmt.Errorf("cannot use advisory %q: not an identifier", id)
		}
		var a record
		if err := o.ask(ctx, http.MethodGet, base.JoinPath("v1", "vulns", id), nil, &a); err != nil {
			return nil, err
		}
		hits, err := a.match(names.ecosystem, names.byName)
		if err != nil {
			return nil, err
		}
		found = append(found, hits...)
	}
	sortFindings(found)
	return found, nil
}

type osvQuery struct {
	Package struct {
		Name      string `json:"name"`
		Ecosystem string `json:"ecosystem"`
	} `json:"package"`
	Version string `json:"version"`
	Page    string `json:"page_token,omitempty"`
}

// ids asks with one batch, and once more for each answer that has more pages.
func (o Service) ids(ctx context.Context, base *url.URL, e pack.Ecosystem, deps []pack.Dependency) ([]string, error) {
	var queries []osvQuery
	for _, d := range deps {
		q := osvQuery{Version: d.Version}
		q.Package.Name, q.Package.Ecosystem = d.PackageName(), ecosystemName(e)
		queries = append(queries, q)
	}
	var ids []string
	for round := 0; len(queries) > 0; round++ {
		if round > 100 {
			return nil, errors.New("cannot use the advisory service: it always has one more page")
		}
		batch := queries[:min(len(queries), 1000)]
		queries = queries[len(batch):]
		var answer struct {
			Results []struct {
				Vulns []struct {
					ID string `json:"id"`
				} `json:"vulns"`
				Next string `json:"next_page_token"`
			} `json:"results"`
		}
		if err := o.ask(ctx, http.MethodPost, base.JoinPath("v1", "querybatch"), map[string]any{"queries": batch}, &answer); err != nil {
			return nil, err
		}
		if len(answer.Results) != len(batch) {
			return nil, fmt.Errorf("cannot use the advisory service: %d answers to %d questions", len(answer.Results), len(batch))
		}
		for i, r := range answer.Results {
			for _, v := range r.Vulns {
				ids = append(ids, v.ID)
			}
			if r.Next != "" {
				q := batch[i]
				q.Page = r.Next
				queries = append(queries, q)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (o Service) ask(ctx context.Context, method string, u *url.URL, question, answer any) error {
	var body io.Reader
	if question != nil {
		data, err := json.Marshal(question)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := o.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the advisory service: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot ask %s: it answers %s", u.Redacted(), res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAdvisory+1))
	if err != nil || len(data) > maxAdvisory {
		return fmt.Errorf("cannot read %s: larger than %d bytes, or %v", u.Redacted(), maxAdvisory, err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("cannot read %s: %w", u.Redacted(), err)
	}
	return nil
}

package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mcpen/sandbox/pack"
)

// Question is an install's question to a registry.
type Question struct {
	Ref         pack.Ref
	Interpreter Interpreter   // must be able to load the chosen version
	Build       bool          // PyPI: a source distribution will do
	MinAge      time.Duration // nothing younger is chosen
	Now         time.Time
	Locked      *pack.Lock // if not nil, Choose reports the registry's word against it
}

// Choose reads a package's page, once, and picks the version to install. withdrawn is
// the registry's word against the locked version; "" for none. Choose returns it with
// an error, too, if it reached the registry.
func (r Registry) Choose(ctx context.Context, q Question) (rel Release, withdrawn string, err error) {
	client, err := r.Client()
	if err != nil {
		return rel, "", err
	}
	defer client.CloseIdleConnections()
	if q.Ref.Ecosystem == pack.NPM {
		rel, withdrawn, err = r.chooseNPM(ctx, client, q)
	} else {
		rel, withdrawn, err = r.choosePyPI(ctx, client, q)
	}
	if errors.Is(err, ErrNotFound) {
		if q.Locked != nil {
			withdrawn = "withdrawn: the registry does not have the package any more"
		}
		return Release{}, withdrawn, pack.Missing("cannot find the package %q: %w", q.Ref.String(), err)
	}
	if err != nil {
		return Release{}, withdrawn, err
	}
	return rel, withdrawn, nil
}

func (r Registry) chooseNPM(ctx context.Context, client *http.Client, q Question) (rel Release, withdrawn string, err error) {
	p, err := FetchPackument(ctx, r, client, q.Ref.Name)
	if err != nil {
		return rel, "", err
	}
	if q.Locked != nil {
		withdrawn = npmWithdrawn(p, *q.Locked)
	}
	rel, err = resolveNPM(p, r, q.Ref, q.Interpreter, q.MinAge, q.Now)
	rel.Page = Page{Name: q.Ref.Name, NPM: p}
	return rel, withdrawn, err
}

func (r Registry) choosePyPI(ctx context.Context, client *http.Client, q Question) (rel Release, withdrawn string, err error) {
	p, at, err := FetchProject(ctx, r, client, q.Ref.Name)
	if err != nil {
		return rel, "", err
	}
	if q.Locked != nil {
		withdrawn = pypiWithdrawn(p, *q.Locked)
	}
	rel, file, err := resolvePyPI(p, q.Ref, q.Interpreter, q.Build, q.MinAge, q.Now)
	if err != nil {
		return rel, withdrawn, err
	}
	rel.Registry, rel.Page = r.Origin(), Page{Name: q.Ref.Name, Project: p, At: at}
	rel, err = describePyPI(ctx, r, client, at, file, rel)
	return rel, withdrawn, err
}

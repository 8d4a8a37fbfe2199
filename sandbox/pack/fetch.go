package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// errNotFound is what get returns for an answer of 404 or 410.
var errNotFound = errors.New("not found")

// get asks for one address and gives back a body of at most limit bytes. The
// errors name the address without its user and query.
func (r Registry) get(ctx context.Context, client *http.Client, u *url.URL, accept string, limit int64) ([]byte, http.Header, error) {
	res, cancel, err := r.open(ctx, client, u, accept)
	if err != nil {
		return nil, nil, err
	}
	defer cancel()
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(&stallReader{res.Body, r.timeout(), cancel}, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", shown(u), cause(err))
	}
	if int64(len(body)) > limit {
		return nil, nil, fmt.Errorf("cannot read %s: the answer is larger than %d bytes", shown(u), limit)
	}
	return body, res.Header, nil
}

// patience is the wait before an answer of "not now" is asked again, and then
// again twice as long.
const patience = 250 * time.Millisecond

// open asks for one address, and up to twice more where the registry says "not
// now" or the connection breaks. The caller closes the body and calls cancel.
func (r Registry) open(ctx context.Context, client *http.Client, u *url.URL, accept string) (*http.Response, context.CancelFunc, error) {
	for try := 0; ; try++ {
		res, cancel, again, err := r.openOnce(ctx, client, u, accept)
		if err == nil || !again || try == 2 {
			return res, cancel, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(patience << try):
		}
	}
}

func (r Registry) openOnce(ctx context.Context, client *http.Client, u *url.URL, accept string) (res *http.Response, stop context.CancelFunc, again bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel()
		return nil, nil, false, err
	}
	req.Header.Set("User-Agent", "mcpen")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if a := r.authorization(u); a != "" {
		req.Header.Set("Authorization", a)
	}
	res, err = client.Do(req)
	if err != nil {
		cancel()
		again = errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		return nil, nil, again, fmt.Errorf("cannot ask %s: %w", shown(u), cause(err))
	}
	if res.StatusCode == http.StatusOK {
		return res, cancel, false, nil
	}
	res.Body.Close()
	cancel()
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, nil, false, fmt.Errorf("cannot find %s: %w", shown(u), errNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, nil, false, fmt.Errorf("cannot read %s: the registry answers %s; check the credentials in the package manager's configuration", shown(u), res.Status)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return nil, nil, again, fmt.Errorf("cannot read %s: the registry answers %s", shown(u), res.Status)
}

// cause takes the address off an error of net/http, which would print it with
// its query.
func cause(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// shown is an address as it may be printed.
func shown(u *url.URL) string {
	c := *u
	c.User, c.RawQuery, c.Fragment = nil, "", ""
	return c.String()
}

// stallReader ends a request whose body stops coming.
type stallReader struct {
	r      io.Reader
	wait   time.Duration
	cancel context.CancelFunc
}

func (s *stallReader) Read(p []byte) (int, error) {
	fired := make(chan struct{})
	timer := time.AfterFunc(s.wait, func() { close(fired); s.cancel() })
	n, err := s.r.Read(p)
	if !timer.Stop() {
		<-fired
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("nothing came for %s", s.wait)
		}
	}
	return n, err
}

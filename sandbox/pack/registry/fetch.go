package registry

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

// ErrNotFound is the error of get for an answer of 404 or 410.
var ErrNotFound = errors.New("not found")

// Get asks for one address and gives back a body of at most limit bytes. The
// errors name the address without its user and query.
func (r Registry) Get(ctx context.Context, client *http.Client, u *url.URL, accept string, limit int64) (body []byte, head http.Header, err error) {
	err = r.stream(ctx, client, u, accept, limit, func(from io.Reader, h http.Header) error {
		head = h
		body, err = io.ReadAll(from)
		return err
	})
	return body, head, err
}

// stream asks for one address and has read read the body as it comes, at most
// limit bytes of it and for at most the time that a page has.
func (r Registry) stream(ctx context.Context, client *http.Client, u *url.URL, accept string, limit int64, read func(io.Reader, http.Header) error) error {
	ctx, end := context.WithTimeout(ctx, r.whole(wholePage))
	defer end()
	res, cancel, err := r.open(ctx, client, u, accept)
	if err != nil {
		return r.late(ctx, err)
	}
	defer cancel()
	defer res.Body.Close()
	left := &io.LimitedReader{R: &paceReader{r: res.Body, wait: r.timeout(), cancel: cancel}, N: limit + 1}
	err = read(left, res.Header)
	if left.N <= 0 {
		return fmt.Errorf("cannot read %s: the answer is larger than %d bytes", Shown(u), limit)
	}
	if err != nil {
		return r.late(ctx, fmt.Errorf("cannot read %s: %w", Shown(u), cause(err)))
	}
	return nil
}

// The time that a page or an archive has to come, however it comes.
const (
	wholePage    = 5 * time.Minute
	wholeArchive = 30 * time.Minute
)

func (r Registry) whole(limit time.Duration) time.Duration {
	if r.Whole > 0 {
		return r.Whole
	}
	return limit
}

// late says that it was the time that ended a transfer.
func (r Registry) late(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: it takes too long", err)
	}
	return err
}

// patience is the wait before get asks again after an answer of "not now". The second
// wait is twice as long.
const patience = 250 * time.Millisecond

// ErrTorn is the error that Download wraps if a body ended too early.
var ErrTorn = errors.New("the transfer broke off")

// Download writes the body at one address into to. If it has more than limit bytes,
// Download writes limit and one more.
func (r Registry) Download(ctx context.Context, client *http.Client, u *url.URL, limit int64, to io.Writer) (int64, error) {
	ctx, end := context.WithTimeout(ctx, r.whole(wholeArchive))
	defer end()
	res, cancel, err := r.open(ctx, client, u, "")
	if err != nil {
		return 0, r.late(ctx, err)
	}
	defer cancel()
	defer res.Body.Close()
	n, err := io.Copy(to, io.LimitReader(&paceReader{r: res.Body, wait: r.timeout(), cancel: cancel}, limit+1))
	if slow := (*slowError)(nil); errors.As(err, &slow) {
		return 0, fmt.Errorf("cannot fetch %s: %w", Shown(u), slow)
	}
	if err != nil {
		return 0, r.late(ctx, fmt.Errorf("cannot fetch %s: %w: %w", Shown(u), ErrTorn, cause(err)))
	}
	return n, nil
}

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
		return nil, nil, again, fmt.Errorf("cannot ask %s: %w", Shown(u), cause(err))
	}
	if res.StatusCode == http.StatusOK {
		return res, cancel, false, nil
	}
	res.Body.Close()
	cancel()
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, nil, false, fmt.Errorf("cannot find %s: %w", Shown(u), ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, nil, false, fmt.Errorf("cannot read %s: the registry answers %s; check the credentials in the package manager's configuration", Shown(u), res.Status)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return nil, nil, again, fmt.Errorf("cannot read %s: the registry answers %s", Shown(u), res.Status)
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

// Shown is an address as it may be printed.
func Shown(u *url.URL) string {
	c := *u
	c.User, c.RawQuery, c.Fragment = nil, "", ""
	return c.String()
}

// slowest is the pace below which a transfer is ended: a registry that sends a
// byte a second holds an install for ever.
const slowest = 1 << 10 // bytes a second

// paceReader ends a request whose body stops coming, or comes too slowly.
type paceReader struct {
	r      io.Reader
	wait   time.Duration
	cancel context.CancelFunc
	since  time.Time // of the bytes that are counted
	n      int64
}

// slowError ends a transfer that is not tried again.
type slowError struct {
	bytes  int64
	passed time.Duration
}

func (e *slowError) Error() string {
	return fmt.Sprintf("only %d bytes came in %s", e.bytes, e.passed.Round(time.Second))
}

func (p *paceReader) Read(b []byte) (int, error) {
	fired := make(chan struct{})
	timer := time.AfterFunc(p.wait, func() { close(fired); p.cancel() })
	n, err := p.r.Read(b)
	if !timer.Stop() {
		<-fired
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("nothing came for %s", p.wait)
		}
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
	p.n += int64(n)
	if passed := time.Since(p.since); err == nil && passed > p.wait/2 {
		if p.n < int64(passed.Seconds()*slowest) {
			return n, &slowError{p.n, passed}
		}
		p.since, p.n = time.Now(), 0
	}
	return n, err
}

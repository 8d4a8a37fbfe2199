package install

import "mcpen/sandbox/pack"

// Failure is the error of an install that had begun, with what it did until then. Errors
// of the time before, such as a name that the registry lacks, are none.
type Failure struct {
	Err      error
	Lock     pack.Lock // as far as the packages were chosen
	Words    string    // the last words of the tool that failed, as it wrote them; "" if none did
	Asked    []string  // the first names that it looked up at the registry
	Archives int       // that it fetched
	Bytes    int64
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// failure adds what the install did to its error.
func (w *work) failure(err error) error {
	f := &Failure{Err: err, Lock: *w.lock, Words: string(w.words)}
	f.Asked, f.Archives, f.Bytes = w.mirror.Fetched()
	return f
}

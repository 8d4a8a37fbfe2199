package pack

import (
	"bufio"
	"bytes"
	"net/textproto"
	"slices"
)

// metadataFields reads the headers of core metadata. What follows them is a text
// and no MIME body.
func metadataFields(data []byte) (textproto.MIMEHeader, error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	head, _, _ := bytes.Cut(data, []byte("\n\n"))
	return textproto.NewReader(bufio.NewReader(bytes.NewReader(append(slices.Clip(head), "\n\n"...)))).ReadMIMEHeader()
}

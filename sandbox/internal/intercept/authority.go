package intercept

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" // the format demands it; no security depends on it
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"sync"
	"time"
	"unicode/utf16"
)

// maxLeaves bounds the certificates of one run.
const maxLeaves = 1024

// Authority issues the certificates of one run. Its key never leaves this process.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	leaf *ecdsa.PrivateKey // one for all leaves
	mu   sync.Mutex
	made map[string]*tls.Certificate
	last *tls.Certificate
}

// NewAuthority makes an Authority, valid around the given time.
func NewAuthority(now time.Time) (*Authority, error) {
	a := &Authority{made: map[string]*tls.Certificate{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if a.leaf, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	t := template(now.AddDate(-3, 0, 0), now.AddDate(12, 0, 0))
	t.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"Trust Services LLC"}, CommonName: "TS Root R4"}
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate authority: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func template(from, to time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails (crypto/rand)
	return &x509.Certificate{SerialNumber: serial, NotBefore: from, NotAfter: to}
}

// PEM returns the authority's own certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// certificate returns one for a name or an address.
func (a *Authority) certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.made[name]; c != nil {
		return c, nil
	}
	if len(a.made) >= maxLeaves {
		return a.last, nil
	}
	now := time.Now()
	t := template(now.AddDate(0, -1, 0), now.AddDate(0, 2, 0))
	t.Subject.CommonName = name
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{name}
	}
	if len(name) > 64 { // of a common name (RFC 5280, appendix A.1)
		t.Subject.CommonName = ""
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &a.leaf.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leaf}
	a.made[name], a.last = c, c
	return c, nil
}

// JKS returns a Java trust store with the certificates of a PEM bundle:
// java.security.KeyStore's "JKS" format, which every Java reads whatever its default
// is, with the usual password.
func JKS(bundle []byte, made time.Time) []byte {
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.BigEndian, v) } // into memory: never fails
	text := func(s string) { put(uint16(len(s))); b.WriteString(s) }
	var certs [][]byte
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		certs = append(certs, block.Bytes)
	}
	put(uint32(0xfeedfeed))
	put(uint32(2))
	put(uint32(len(certs)))
	for i, der := range certs {
		put(uint32(2)) // a trusted certificate
		text("ca" + strconv.Itoa(i))
		put(uint64(made.UnixMilli()))
		text("X.509")
		put(uint32(len(der)))
		b.Write(der)
	}
	h := sha1.New()
	for _, c := range utf16.Encode([]rune("changeit")) {
		h.Write([]byte{byte(c >> 8), byte(c)})
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(b.Bytes())
	return h.Sum(b.Bytes())
}

func itoa(port uint16) string { return strconv.Itoa(int(port)) }

package policy

import (
	"net/netip"
	"testing"
)

// A name that resolves to one of these would give access to a cloud's credentials, to
// this machine or to the local network. The test takes the first and the last address
// of every range, and the addresses beside it.
func TestAddressesHaveTheirClass(t *testing.T) {
	const cloud, loop, link, unset, reserved, many, in6 = "a cloud's metadata service", "a loopback address", "a link-local address", "an unspecified address",
		"a reserved address", "a multicast address", "an IPv4 address in an IPv6 one"
	const private, public = string(AddressPrivate), string(AddressPublic)
	for want, addrs := range map[string][]string{
		cloud: {"169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe"},
		loop:  {"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"},
		link: {"169.254.0.0", "169.254.255.255", "169.254.169.253", "169.254.169.255", "169.254.170.3", "169.254.170.22", "fe80::", "fe80::1", "febf:ffff::1", "fe80::a9fe:a9ff", "2001:db8::1%eth0", "::1%lo",
			"fe80::1%eth0"},
		unset: {"0.0.0.0", "0.255.255.255", "::"},
		reserved: {"192.0.0.0", "192.0.0.191", "192.0.0.193", "192.0.0.255", "240.0.0.0", "255.255.255.255", "2001:10::", "2001:1f:ffff::1", "fec0::", "feff:ffff::1",
			"1fff:ffff::1", "4000::", "8000::1", "64:ff9b:2::", "64:ff9a::1", "::1:0:0:0", "fbff::1", "fe00::1", "fe7f::1"},
		"a 6to4 relay":                           {"192.88.99.0", "192.88.99.255"},
		many:                                     {"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff:ffff::1"},
		in6:                                      {"::ffff:1.2.3.4", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::2", "::1.2.3.4", "::ffff:ffff", "::ffff:0:0", "::ffff:0:1.2.3.4", "::ffff:0:255.255.255.255"},
		"an IPv4 address in an IPv6 one (NAT64)": {"64:ff9b::", "64:ff9b::1.2.3.4", "64:ff9b::255.255.255.255", "64:ff9b:1::", "64:ff9b:1:ffff::1"},
		"an IPv4 address in an IPv6 one (Teredo)": {"2001::", "2001:0:ffff::1"},
		"an IPv4 address in an IPv6 one (6to4)":   {"2002::", "2002:ffff:ffff::1"},
		private: {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "100.64.0.0", "100.127.255.255", "100.100.100.199", "100.100.100.201",
			"198.18.0.0", "198.19.255.255", "fc00::", "fd00:ec2::253", "fd00:ec2::22", "fd20:ce::253", "fdff:ffff::1"},
		public: {"1.0.0.0", "126.255.255.255", "128.0.0.0", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0",
			"198.17.255.255", "198.20.0.0", "169.253.255.255", "169.255.0.0", "192.0.1.0", "191.255.255.255", "192.88.98.255", "192.88.100.0", "223.255.255.255", "168.63.129.15", "168.63.129.17",
			"2000::", "2001:1::", "2001:f:ffff::", "2001:20::", "2001:db8::1", "2003::", "3fff:ffff::1", "203.0.113.1"},
	} {
		for _, s := range addrs {
			if got := ClassifyAddress(netip.MustParseAddr(s)); string(got) != want {
				t.Errorf("%s is %q, want %q", s, got, want)
			}
		}
	}
	if got := ClassifyAddress(netip.Addr{}); got == AddressPublic || got == AddressPrivate {
		t.Errorf("the zero address is %q", got)
	}
}

// Only a network that is private from end to end needs no further word in a rule.
func TestPrivateNetworksArePrivateAsAWhole(t *testing.T) {
	for s, want := range map[string]bool{
		"10.0.0.0/8": true, "10.0.0.0/7": false, "10.9.0.0/16": true, "10.1.2.3/32": true, "11.0.0.0/8": false, "172.16.0.0/12": true, "172.16.0.0/11": false, "172.32.0.0/12": false,
		"192.168.0.0/16": true, "192.168.0.0/15": false, "192.169.0.0/16": false, "100.64.0.0/10": true, "100.64.0.0/9": false, "198.18.0.0/15": true, "198.18.0.0/14": false,
		"fc00::/7": true, "fc00::/6": false, "fd00::/8": true, "fd00::1/128": true, "fe80::/10": false, "127.0.0.0/8": false, "169.254.0.0/16": false, "8.0.0.0/8": false, "0.0.0.0/0": false,
	} {
		if got := PrivateNetwork(netip.MustParsePrefix(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

package plan

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// carrier is the first of the characters that stand for single bytes in JSON. A path,
// an argument and a variable are bytes on Linux, but JSON holds only text:
// encoding/json replaces invalid UTF-8 by U+FFFD. Encode and Decode preserve the bytes:
// an invalid byte becomes the character carrier+byte, in the last plane of private use,
// and so does each byte of these characters themselves.
const carrier = 0x10ff00

// mark is the common prefix of carrier+0x00 to carrier+0xff in UTF-8.
var mark = []byte(string(rune(carrier)))[:2]

// Encode returns a value of plain data as JSON from which Decode restores the same
// value.
func Encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || !bytes.Contains(data, []byte(`\ufffd`)) && !bytes.Contains(data, mark) {
		return data, err
	}
	return json.Marshal(each(reflect.ValueOf(v), carry).Interface())
}

// Decode restores a value from Encode's output into the value that v points to.
func Decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil || !bytes.Contains(data, mark) {
		return err
	}
	to := reflect.ValueOf(v).Elem()
	to.Set(each(to, uncarry))
	return nil
}

func carry(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, string(mark)) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r&^0xff == carrier {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteRune(carrier + rune(c))
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func uncarry(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r&^0xff == carrier {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// each returns a copy of v with change applied to every string.
func each(v reflect.Value, change func(string) string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(change(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(each(v.Field(i), change))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			out.Index(i).Set(each(v.Index(i), change))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		}
		for key, value := range v.Seq2() {
			out.SetMapIndex(each(key, change), each(value, change))
		}
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(each(v.Elem(), change))
		} else if !v.IsNil() {
			out.Set(each(v.Elem(), change))
		}
	}
	return out
}

package awstest

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
}

type commonPrefix struct{ Prefix string }

type listResult struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	Prefix                string
	KeyCount              int
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listed
	CommonPrefixes        []commonPrefix
	NextContinuationToken string `xml:",omitempty"`
}

// serveList is ListObjectsV2: keys in the order of their bytes, what lies below
// the delimiter as one, at most PageSize of both on a page.
func (s *Server) serveList(w http.ResponseWriter, bucket string, query url.Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for place := range s.objects {
		if b, key, _ := strings.Cut(place, "/"); b == bucket {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		deny(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	slices.Sort(keys)
	prefix, delimiter, after := query.Get("prefix"), query.Get("delimiter"), query.Get("start-after")
	if token := query.Get("continuation-token"); token != "" {
		text, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			deny(w, http.StatusBadRequest, "InvalidArgument", "The continuation token provided is incorrect")
			return
		}
		after = string(text)
	}
	most := 1000
	if s.PageSize > 0 {
		most = s.PageSize
	}
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		most = min(most, n)
	}
	encode := func(text string) string { return text }
	out := listResult{Name: bucket, MaxKeys: most, EncodingType: query.Get("encoding-type")}
	if out.EncodingType == "url" {
		encode = func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "%2F", "/") }
	}
	out.Prefix = encode(prefix)
	if s.EmptyPages && query.Get("continuation-token") == "" {
		keys, out.IsTruncated = nil, true
		out.NextContinuationToken = base64.StdEncoding.EncodeToString([]byte(max(after, " "))) // no key of ours begins before it
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		folder := ""
		if delimiter != "" {
			if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
				folder = key[:len(prefix)+i+len(delimiter)]
			}
		}
		// A folder that an earlier page listed stands for all that is in it.
		if folder != "" && strings.HasPrefix(after, folder) {
			continue
		}
		if out.KeyCount == most {
			out.IsTruncated = true
			break
		}
		out.KeyCount++
		last := key
		if folder != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(folder)})
			last, after = folder, folder
		} else {
			o := s.objects[bucket+"/"+key]
			out.Contents = append(out.Contents, listed{encode(key), o.written.UTC().Format(time.RFC3339), o.etag, o.size})
		}
		out.NextContinuationToken = base64.StdEncoding.EncodeToString([]byte(last))
	}
	if !out.IsTruncated {
		out.NextContinuationToken = ""
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

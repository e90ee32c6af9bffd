package esdbtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// admin is the user no list binds.
const admin = "admin"

// userKey is the key of the user's name in the context of a call.
type userKey struct{}

// authenticate finds out who calls. Without Options.Users everybody is an administrator, as with --insecure.
func (s *Server) authenticate(ctx context.Context) (context.Context, error) {
	if s.options.Users == nil {
		return context.WithValue(ctx, userKey{}, admin), nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	basic, ok := strings.CutPrefix(strings.Join(md.Get("authorization"), ""), "Basic ")
	if ok {
		decoded, err := base64.StdEncoding.DecodeString(basic)
		name, password, _ := strings.Cut(string(decoded), ":")
		if want, known := s.options.Users[name]; err == nil && known && password == want {
			return context.WithValue(ctx, userKey{}, name), nil
		}
	}
	return nil, status.Error(codes.Unauthenticated, "Bad credentials")
}

// may is LegacyStreamPermissionAssertion: the stream's own list, else the default list of $settings, else what the
// server is born with. right is one of $r, $w, $d.
func (s *Server) may(ctx context.Context, right, stream string) error {
	user, _ := ctx.Value(userKey{}).(string)
	if user == admin || s.store.grants(user, right, stream) {
		return nil
	}
	return status.Error(codes.PermissionDenied, "Access Denied")
}

func denied() metadata.MD { return metadata.Pairs("exception", "access-denied") }

func (s *store) grants(user, right, name string) bool {
	if name == "$all" && right != "$r" {
		return false
	}
	if original, meta := strings.CutPrefix(name, "$$"); meta {
		name, right = original, map[string]string{"$r": "$mr", "$w": "$mw"}[right]
		if right == "" {
			return false
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, born := "$userStreamAcl", "$all"
	if strings.HasPrefix(name, "$") {
		key, born = "$systemStreamAcl", "$admins"
	}
	roles, ok := s.roles("$$"+name, "$acl", right)
	if !ok {
		roles, ok = s.roles("$settings", key, right)
	}
	if !ok {
		roles = []string{born}
	}
	return slices.Contains(roles, "$all") || slices.Contains(roles, user)
}

// roles reads a list out of the last event of a stream. It needs s.mu.
func (s *store) roles(name, key, right string) ([]string, bool) {
	st := s.streams[name]
	if st == nil || len(st.records) == 0 {
		return nil, false
	}
	var document map[string]json.RawMessage
	var list map[string]json.RawMessage
	if json.Unmarshal(st.records[len(st.records)-1].data, &document) != nil || json.Unmarshal(document[key], &list) != nil {
		return nil, false
	}
	raw, ok := list[right]
	if !ok {
		return nil, false
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, true
	}
	var many []string
	return many, json.Unmarshal(raw, &many) == nil
}

// isStreams reports a call of the service that knows users; what a server can do and who is in the cluster anybody may
// ask.
func isStreams(method string) bool { return strings.HasPrefix(method, "/event_store.client.streams.") }

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if isStreams(info.FullMethod) {
		var err error
		if ctx, err = s.authenticate(ctx); err != nil {
			return nil, err
		}
	}
	return handle(ctx, req)
}

func (s *Server) stream(server any, call grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx := call.Context()
	if isStreams(info.FullMethod) {
		var err error
		if ctx, err = s.authenticate(ctx); err != nil {
			return err
		}
	}
	return handle(server, withContext{call, ctx})
}

type withContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (w withContext) Context() context.Context { return w.ctx }

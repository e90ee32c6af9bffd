package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// setting is a flag that the environment and the settings file may set too.
type setting struct{ key, vi, help string }

// known lists every setting. A name that is not here is an error wherever it is found: a misspelt setting that is
// silently ignored is found out in production.
var known = []setting{
	{"data", "thư mục dữ liệu của serve, init, các lệnh hỏi và các lệnh khác", "data directory of serve, init, queries and the rest"},
	{"listen", "địa chỉ phục vụ", "address to serve on"},
	{"lang", "ngôn ngữ hiển thị: auto, vi, en", "language of what people read: auto, vi, en"},
	{"log_level", "debug, info, warn, error", "debug, info, warn, error"},
	{"seed", "số khởi tạo của bản trình diễn", "seed of the demonstration"},
	{logURLKey, "máy chủ của sổ, esdb://…; không đặt thì sổ nằm trong thư mục dữ liệu", "server of the log, esdb://…; without it the log is in the data directory"},
	{postgresURLKey, "cơ sở dữ liệu của các bảng tổng hợp, token, phiên và cây bằng chứng, postgres://…; không đặt thì nằm trong thư mục dữ liệu", "database of views, tokens, sessions and the tree of the evidence, postgres://…; without it they are in the data directory"},
	{guardURLKey, "cơ sở dữ liệu giữ bản đối chiếu mốc đã ký mới nhất, postgres://…, ở máy chủ khác với các bảng tổng hợp; không đặt thì là tệp mà guard nêu", "database of the second copy of the last signed checkpoint, postgres://…, on another server than the views; without it the file that guard names"},
	{"origin", "tên nhật ký minh bạch của sổ mới", "name of a new ledger's transparency log"},
	{"keys", "thư mục khóa của sổ mới", "directory for a new ledger's keys"},
	{"guard", "tệp giữ bản đối chiếu mốc đã ký mới nhất của sổ mới", "file for the second copy of a new ledger's last signed checkpoint"},
	{"site", "địa chỉ mà trình duyệt dùng, https://…", "address that people's browsers use, https://…"},
	{oidcIssuerKey, "nhà cung cấp OpenID Connect được phép cho đăng nhập, https://…; không đặt thì không có", "provider of OpenID Connect that may sign people in, https://…; without it there is none"},
	{oidcClientKey, "mã của máy chủ này tại nhà cung cấp đó", "this server's id at that provider"},
	{oidcSecretKey, "tệp chứa bí mật của máy chủ này tại nhà cung cấp đó", "file that holds this server's secret at that provider"},
	{oidcNameKey, "tên nhà cung cấp đó ghi trên nút", "what the button calls that provider"},
}

const envPrefix = "ANSWERABLE_"

// settings resolves flags that the command line left open: the environment first, then the file.
type settings struct {
	file   string
	values map[string]string
	source map[string]string
	flags  map[string]string // what the command line gave, for printing
}

// readSettings reads environment and file. The file is named by --config or ANSWERABLE_CONFIG.
func readSettings(args []string, env map[string]string) (*settings, error) {
	s := &settings{file: env[envPrefix+"CONFIG"], values: map[string]string{}, source: map[string]string{}, flags: map[string]string{}}
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			s.file = v
		} else if a == "--config" && i+1 < len(args) {
			s.file = args[i+1]
		}
	}
	if s.file != "" {
		if err := s.readFile(); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(env))
	for k := range env {
		names = append(names, k)
	}
	slices.Sort(names) // the same mistake gets the same message
	for _, k := range names {
		key, ours := strings.CutPrefix(k, envPrefix)
		if !ours || key == "CONFIG" {
			continue
		}
		if key = strings.ToLower(key); !isKnown(key) {
			return nil, usagef("the environment sets %s, which is no setting; known are %s", k, knownNames())
		}
		s.values[key], s.source[key] = env[k], "environment "+k
	}
	return s, nil
}

func (s *settings) readFile() error {
	raw, err := os.ReadFile(s.file)
	if errors.Is(err, os.ErrNotExist) {
		return usagef("there is no settings file %s", s.file)
	}
	if err != nil {
		return fmt.Errorf("settings file: %w", err)
	}
	return s.parse(raw)
}

// parse reads a settings file's content. Numbers are taken as they are written: a seed may have more digits than a
// floating-point number.
func (s *settings) parse(raw []byte) error {
	var values map[string]jsontext.Value
	if err := json.Unmarshal(raw, &values); err != nil {
		return fmt.Errorf("settings file %s: %w", s.file, err)
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !isKnown(k) {
			return usagef("settings file %s sets %q, which is no setting; known are %s", s.file, k, knownNames())
		}
		value := string(values[k])
		switch values[k].Kind() {
		case '"':
			if err := json.Unmarshal(values[k], &value); err != nil {
				return fmt.Errorf("settings file %s: %s: %w", s.file, k, err)
			}
		case '0', 't', 'f':
		default:
			return usagef("settings file %s sets %q to %s: write a string, a number, true or false", s.file, k, value)
		}
		s.values[k], s.source[k] = value, "file "+s.file
	}
	return nil
}

func isKnown(key string) bool {
	return slices.ContainsFunc(known, func(k setting) bool { return k.key == key })
}

func knownNames() string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.key
	}
	return strings.Join(names, ", ")
}

// Validate is part of kong.Resolver; the names were checked when they were read.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver: the value of a flag the command line left open.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := s.values[strings.ReplaceAll(flag.Name, "-", "_")]; ok {
		return v, nil
	}
	return nil, nil
}

// take remembers what the command line gave.
func (s *settings) take(parsed *kong.Context) {
	for _, p := range parsed.Path {
		if p.Flag == nil || p.Resolved {
			continue
		}
		if key := strings.ReplaceAll(p.Flag.Name, "-", "_"); isKnown(key) {
			s.flags[key] = fmt.Sprint(parsed.FlagValue(p.Flag))
		}
	}
}

// at is the value of a setting and where it comes from.
func (s *settings) at(key, fallback string) (value, source string) {
	if v, ok := s.flags[key]; ok {
		return v, "flag"
	}
	if v, ok := s.values[key]; ok {
		return v, s.source[key]
	}
	return fallback, "default"
}

type configCmd struct {
	Data   string `help:"Data directory." placeholder:"DIR"`
	Listen string `help:"Address to serve on." placeholder:"HOST:PORT"`
	Seed   string `help:"Seed of the demonstration."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

func (configCmd) Help() string {
	return `Flags come before the environment (ANSWERABLE_DATA, ANSWERABLE_LISTEN, ...), the environment before the file.

Example:
  ANSWERABLE_LISTEN=0.0.0.0:8080 answerable config --config answerable.json`
}

func (c configCmd) Run(a *app) error {
	rows := a.settingRows()
	if c.JSON {
		return a.printJSON(map[string]any{"file": a.settings.file, "settings": rows})
	}
	t := a.table()
	t.row(a.say("THIẾT ĐẶT", "SETTING"), a.say("GIÁ TRỊ", "VALUE"), a.say("NGUỒN", "SOURCE"), a.say("Ý NGHĨA", "MEANING"))
	for i, r := range rows {
		kind, where, _ := strings.Cut(r.Source, " ")
		kind = a.say(map[string]string{"flag": "dòng lệnh", "environment": "môi trường", "file": "tệp", "default": "mặc định"}[kind], kind)
		t.row(r.Key, r.Value, strings.TrimSpace(kind+" "+where), a.say(known[i].vi, r.Help))
	}
	return t.flush()
}

// settingRow is a setting as it may be shown.
type settingRow struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
	Help   string `json:"help"`
}

// settingRows lists every setting, without passwords.
func (a *app) settingRows() []settingRow {
	defaults := map[string]string{"listen": defaultListen, "lang": "auto", "log_level": "warn", "seed": fmt.Sprint(defaultSeed)}
	var rows []settingRow
	for _, k := range known {
		v, source := a.settings.at(k.key, defaults[k.key])
		rows = append(rows, settingRow{k.key, hidePassword(v), source, k.help})
	}
	return rows
}

// newLogger writes one JSON line per event to w. Nothing is sampled: a line that is missing tells nothing.
func newLogger(level string, w io.Writer) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, usagef("--log-level: %v", err)
	}
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), zapcore.Lock(zapcore.AddSync(w)), l)), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/transparency"
)

// dirError is a data directory that could not be opened.
type dirError struct {
	dir string
	err error
}

func (e dirError) Error() string { return fmt.Sprintf("open data directory %s: %v", e.dir, e.err) }
func (e dirError) Unwrap() error { return e.err }

// inDir says of which directory an error is.
func inDir(dir string, err error) error {
	if err == nil {
		return nil
	}
	return dirError{dir, err}
}

// fail prints why a command failed, in the reader's language.
func (a *app) fail(vi, en string, args ...any) error {
	fmt.Fprintf(a.stdio.err, "answerable: "+a.say(vi, en)+"\n", args...)
	return errFailed
}

// explain says what failed and what to do about it.
func explain(err error, lang domain.Language) string {
	var refusal *domain.Error
	if errors.As(err, &refusal) {
		parts := make([]string, len(refusal.Faults))
		for i, f := range refusal.Faults {
			parts[i] = place(f, lang) + f.Text(lang)
		}
		return strings.Join(parts, "\n")
	}
	vi, en, detail := reason(err)
	switch {
	case en == "" && lang != domain.Vietnamese:
		return err.Error()
	case lang == domain.Vietnamese:
		en = vi
	}
	if detail != "" {
		return en + " (" + detail + ")"
	}
	return en
}

// reason is an error in words, and what the words leave open: of which directory or file they are, or the whole error where
// that helps. en is "" where the error's own words say it.
func reason(err error) (vi, en, detail string) {
	var dir dirError
	var path *fs.PathError
	where := err.Error()
	if errors.As(err, &dir) {
		where = dir.dir
	} else if errors.As(err, &path) && path.Error() == where { // what says more is shown whole
		where = path.Path
	}
	var op *net.OpError
	listens := errors.As(err, &op) && op.Op == "listen"
	if listens && op.Addr != nil {
		where = op.Addr.String()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "đã ngắt theo yêu cầu", "interrupted", ""
	case errors.Is(err, eventlog.ErrInUse):
		return "thư mục dữ liệu đang được một tiến trình khác sử dụng; hãy dừng tiến trình đó hoặc chọn thư mục khác bằng --data",
			"the data directory is in use by another process; stop it, or choose another with --data", where
	case errors.Is(err, projections.ErrDamaged), errors.Is(err, projections.ErrEmpty):
		return "các bảng tổng hợp bị hỏng hoặc không có, sổ thì còn nguyên; hãy dựng lại bằng 'answerable rebuild'",
			"the views are damaged or missing, the ledger is not; make them again with 'answerable rebuild'", where
	case errors.Is(err, eventlog.ErrFull), errors.Is(err, projections.ErrFull), errors.Is(err, appstate.ErrFull), errors.Is(err, syscall.ENOSPC):
		return "hết dung lượng đĩa; những gì đã xác nhận vẫn còn nguyên, hãy giải phóng dung lượng rồi thử lại",
			"no space left on the disk; what was acknowledged is still there, make room and try again", where
	case dir.dir == "" && path != nil && errors.Is(err, os.ErrPermission):
		return "không được phép đọc hoặc ghi", "it may not be read or written", where
	case errors.Is(err, eventlog.ErrReadOnly), errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return "không ghi được vào thư mục dữ liệu; hãy kiểm tra quyền của thư mục và của đĩa",
			"the data directory cannot be written; check its permissions and the disk's", where
	case dir.dir != "" && errors.Is(err, os.ErrNotExist):
		return "không tìm thấy sổ nào ở đó; chạy 'answerable demo --once' hoặc 'answerable init --data DIR' trước",
			"there is no data there; run 'answerable demo --once' or 'answerable init --data DIR' first", where
	case errors.Is(err, os.ErrNotExist):
		return "không có tệp hoặc thư mục này", "there is no such file or directory", where
	case errors.Is(err, syscall.EADDRINUSE):
		return "địa chỉ đang được chương trình khác sử dụng; chọn địa chỉ khác bằng --listen, ví dụ --listen 127.0.0.1:0",
			"the address is taken by another program; choose another with --listen, for example --listen 127.0.0.1:0", where
	case listens:
		return "không hiểu địa chỉ, hoặc địa chỉ không phải của máy này; ví dụ đúng: --listen 127.0.0.1:8080",
			"the address is not understood, or not this machine's; an example is --listen 127.0.0.1:8080", where
	}
	for _, k := range []struct {
		of error
		vi string
	}{
		{projections.ErrNoPrevious, "không còn giữ các bảng tổng hợp trước"},
		{projections.ErrDiffers, "các bảng mới khác các bảng hiện tại ở chỗ không bản phát hành nào công bố; hãy xem chỗ khác bằng 'answerable rebuild --dry-run', rồi chuyển bằng 'answerable rebuild --accept'"},
		{projections.ErrRebuilding, "các bảng tổng hợp đang được dựng lại; hãy đợi xong rồi thử lại"},
		{projections.ErrBuilding, "các bảng tổng hợp thuộc phiên bản cũ và đang được dựng lại; hãy thử lại khi đã xong"},
		{projections.ErrNewer, "các bảng tổng hợp do chương trình mới hơn dựng; hãy chạy chương trình đó, hoặc trở lại bằng 'answerable rebuild --undo'"},
		{projections.ErrAhead, "các bảng tổng hợp đi trước sổ, vì sổ đã được phục hồi hoặc thay thế; hãy dựng lại bằng 'answerable rebuild'"},
		{projections.ErrFenced, "một tiến trình khác đang cập nhật các bảng tổng hợp"},
		{appstate.ErrNoToken, "không có token này; xem mã bằng 'answerable token list'"},
		{transparency.ErrNotYet, "chưa có mốc nào đã ký bao gồm nội dung này; hãy khởi động máy chủ và thử lại sau ít giây"},
	} {
		if errors.Is(err, k.of) {
			return k.vi, "", ""
		}
	}
	switch {
	case errors.Is(err, transparency.ErrFork):
		return "bằng chứng mâu thuẫn với sổ hoặc với mốc đã ký: cần xem xét ngay", "", err.Error()
	case errors.Is(err, eventlog.ErrDamaged), errors.Is(err, eventlog.ErrGone):
		return "sổ không còn nguyên vẹn; hãy giữ nguyên thư mục này và phục hồi bản sao lưu vào thư mục khác", "", err.Error()
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, appstate.ErrUnavailable):
		return "không kết nối được với nơi lưu dữ liệu; hãy kiểm tra rồi thử lại", "", err.Error()
	}
	return "không thực hiện được", "", err.Error()
}

// isThere refuses a directory without a log of its own.
func isThere(dir string) error {
	_, err := os.Stat(filepath.Join(dir, ledgerFile))
	return inDir(dir, err)
}

package api

import (
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

// code names one reason of the transport for a refusal; like domain.Code it is stable and never translated.
type code string

const (
	codeAsOfReach       code = "as_of_reach"
	codeBeyond          code = "position_beyond_head"
	codeContended       code = "contended"
	codeCursor          code = "cursor"
	codeErased          code = "erased"
	codeEvent           code = "event_unknown"
	codeFilersOnly      code = "filers_only"
	codeFuture          code = "known_at_future"
	codeNoEvidence      code = "no_evidence"
	codeNoPrevious      code = "no_previous_views"
	codeNonce           code = "nonce"
	codeCheckpoint      code = "checkpoint_seen"
	codeIfMatchFailed   code = "if_match_failed"
	codeIfMatchMissing  code = "if_match_missing"
	codeIfMatchSyntax   code = "if_match"
	codeInProgress      code = "in_progress"
	codeInternal        code = "internal"
	codeKeyMissing      code = "idempotency_key_missing"
	codeKeyReused       code = "idempotency_key_reused"
	codeKeySyntax       code = "idempotency_key"
	codeMediaType       code = "media_type"
	codeMember          code = "member_unknown"
	codeMethod          code = "method"
	codeNotCaughtUp     code = "not_caught_up"
	codeNotWritable     code = "not_writable"
	codeOutcomeUnknown  code = "outcome_unknown"
	codeParameter       code = "parameter"
	codeParameterIdle   code = "parameter_without_meaning"
	codeParameterNeeded code = "parameter_missing"
	codeParameterTwice  code = "parameter_twice"
	codeParameterOther  code = "parameter_unknown"
	codePosition        code = "position"
	codeRebuilding      code = "rebuilding"
	codeRoute           code = "route"
	codeTokenMissing    code = "token_missing"
	codeTokenScope      code = "token_scope"
	codeTokenUnusable   code = "token_unusable"
	codeTooLarge        code = code(domain.CodeTooLarge)
	codeUnavailable     code = "unavailable"
)

type explained struct{ title, text domain.Wording }

// transportTexts holds the words of the transport's own refusals; those of the domain are in domain/messages.go.
var transportTexts = map[code]explained{
	codeAsOfReach:       {domain.Wording{Vi: "Không được phép", En: "Not allowed"}, domain.Wording{Vi: "Chỉ người được xem mọi đơn vị mới được xem một khu vực theo cây đơn vị của ngày khác (as_of); hãy hỏi từng đơn vị hoặc bỏ as_of.", En: "Only who may see every unit may see an area in the tree of another day (as_of); ask for one unit, or leave as_of out."}},
	codeBeyond:          {domain.Wording{Vi: "Vị trí không có trong sổ", En: "The position is not in the ledger"}, domain.Wording{Vi: "Vị trí {value} nằm sau sự kiện cuối cùng ({head}); hãy đọc lại từ đầu.", En: "Position {value} lies after the last event ({head}); read again from the beginning."}},
	codeContended:       {domain.Wording{Vi: "Đang có nhiều người ghi", En: "Too many writers"}, domain.Wording{Vi: "Nhiều người đang ghi cùng một hồ sơ; hãy gửi lại với cùng khóa.", En: "Many are writing to the same record; send it again with the same key."}},
	codeCursor:          {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Dấu trang không đọc được, hoặc thuộc một truy vấn khác.", En: "The cursor cannot be read, or belongs to another query."}},
	codeErased:          {domain.Wording{Vi: "Nội dung đã bị xóa", En: "The content was erased"}, domain.Wording{Vi: "Nội dung của sự kiện này đã bị xóa theo quy định; bằng chứng về nó vẫn còn.", En: "The content of this event was erased on purpose; the evidence that it existed stays."}},
	codeEvent:           {domain.Wording{Vi: "Không tìm thấy", En: "Not found"}, domain.Wording{Vi: "Sổ không có sự kiện “{value}”.", En: "The ledger holds no event “{value}”."}},
	codeFilersOnly:      {domain.Wording{Vi: "Không được phép", En: "Not allowed"}, domain.Wording{Vi: "Chỉ người lập báo cáo của các đơn vị trong tệp, hoặc cấp huyện đối với báo cáo của huyện, được gửi báo cáo; cơ quan chủ trì không gửi thay. Ai cần nhập thay cho đơn vị thì đề nghị quản trị cấp vai trò “người lập báo cáo” cho đơn vị đó.", En: "Only the filers of the units in the file may send their reports, or a district's officer its own; the department does not file for them. Whoever is to import for a unit asks an administrator for the role “filer” for it."}},
	codeFuture:          {domain.Wording{Vi: "Dữ liệu không hợp lệ", En: "The input is not valid"}, domain.Wording{Vi: "“{value}” nằm trong tương lai; chưa thể biết đến lúc đó sẽ ghi những gì.", En: "“{value}” lies in the future; what will be known then is not known yet."}},
	codeNoEvidence:      {domain.Wording{Vi: "Không có nhật ký minh bạch", En: "No transparency log"}, domain.Wording{Vi: "Máy chủ này chạy không có nhật ký minh bạch, nên không cấp biên nhận.", En: "This server runs without a transparency log and gives no receipts."}},
	codeNoPrevious:      {domain.Wording{Vi: "Không có gì để quay lại", En: "There is nothing to go back to"}, domain.Wording{Vi: "Không còn giữ dữ liệu tra cứu của lần dựng trước.", En: "No views from before a rebuild are kept."}},
	codeCheckpoint:      {domain.Wording{Vi: "Dữ liệu không hợp lệ", En: "The input is not valid"}, domain.Wording{Vi: "Sổ không ký điểm kiểm tra “{value}” trong thời gian gần đây; hãy tải lại lời ký, hoặc để trống.", En: "The log did not sign the checkpoint “{value}” of late; load the statement again, or leave it out."}},
	codeNonce:           {domain.Wording{Vi: "Lời ký đã cũ", En: "The statement is stale"}, domain.Wording{Vi: "Lời ký này đã dùng, đã quá hạn hoặc không do máy chủ cấp; hãy tải lại và ký.", En: "This statement was used, has expired or was not issued here; load it again, then sign."}},
	codeIfMatchFailed:   {domain.Wording{Vi: "Đã có phiên bản khác", En: "There is another version"}, domain.Wording{Vi: "Báo cáo không phải là bản bạn đã xem; hãy xem lại.", En: "The report is not the one you looked at; look again."}},
	codeIfMatchMissing:  {domain.Wording{Vi: "Thiếu điều kiện", En: "A precondition is required"}, domain.Wording{Vi: "Hãy nêu phiên bản đã xem, bằng If-Match hoặc trong nội dung.", En: "Say which version you looked at, with If-Match or in the body."}},
	codeIfMatchSyntax:   {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "If-Match không phải là ETag của một báo cáo, hoặc khác với nội dung.", En: "If-Match is no ETag of a report, or differs from the body."}},
	codeInProgress:      {domain.Wording{Vi: "Đang xử lý", En: "Under way"}, domain.Wording{Vi: "Yêu cầu với khóa này đang được xử lý.", En: "A request with this key is under way."}},
	codeInternal:        {domain.Wording{Vi: "Lỗi của hệ thống", En: "A fault of the system"}, domain.Wording{Vi: "Hệ thống gặp lỗi và đã ghi lại; hãy báo mã yêu cầu.", En: "The system failed and has noted it; report the request id."}},
	codeKeyMissing:      {domain.Wording{Vi: "Thiếu Idempotency-Key", En: "Idempotency-Key is missing"}, domain.Wording{Vi: "Mỗi lệnh POST cần tiêu đề Idempotency-Key, giữ nguyên khi gửi lại.", En: "Every POST needs an Idempotency-Key header, which stays the same when it is sent again."}},
	codeKeyReused:       {domain.Wording{Vi: "Idempotency-Key đã dùng", En: "Idempotency-Key was used"}, domain.Wording{Vi: "Khóa này đã dùng cho một yêu cầu có nội dung khác.", En: "This key was used for a request that said something else."}},
	codeKeySyntax:       {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Idempotency-Key phải dài từ 1 đến 200 ký tự ASCII in được.", En: "Idempotency-Key must be 1 to 200 printable ASCII characters."}},
	codeMediaType:       {domain.Wording{Vi: "Kiểu nội dung không dùng được", En: "The media type cannot be used"}, domain.Wording{Vi: "Kiểu “{type}” không dùng được ở đây; cần {want}.", En: "Type “{type}” cannot be used here; {want} is wanted."}},
	codeMember:          {domain.Wording{Vi: "Dữ liệu không hợp lệ", En: "The input is not valid"}, domain.Wording{Vi: "Không có mục “{name}” ở đây.", En: "There is no member “{name}” here."}},
	codeMethod:          {domain.Wording{Vi: "Phương thức không dùng được", En: "The method cannot be used"}, domain.Wording{Vi: "Địa chỉ này không nhận {method}; chỉ nhận {allow}.", En: "This address does not take {method}, but {allow}."}},
	codeNotCaughtUp:     {domain.Wording{Vi: "Số liệu tra cứu chưa theo kịp", En: "The views have not caught up"}, domain.Wording{Vi: "Dữ liệu tra cứu chưa tới vị trí {at}; hãy hỏi lại.", En: "The views have not reached position {at}; ask again."}},
	codeNotWritable:     {domain.Wording{Vi: "Sổ không ghi được", En: "The ledger cannot be written"}, domain.Wording{Vi: "Sổ hiện không ghi được (đầy hoặc chỉ đọc). Những gì đã xác nhận vẫn còn.", En: "The ledger cannot be written now (full or read-only). What was acknowledged is still there."}},
	codeOutcomeUnknown:  {domain.Wording{Vi: "Chưa rõ kết quả", En: "The outcome is unknown"}, domain.Wording{Vi: "Chưa rõ đã ghi hay chưa; hãy gửi lại với cùng khóa, sẽ không bị ghi hai lần.", En: "It may or may not have been recorded; send it again with the same key, it will not be recorded twice."}},
	codeParameter:       {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Tham số “{name}” không hợp lệ: “{value}”; cần {want}.", En: "Parameter “{name}” is not valid: “{value}”; {want} is wanted."}},
	codeParameterIdle:   {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Ở đây “{name}” không có nghĩa: câu trả lời là hiện trạng của sổ, hoặc không phụ thuộc vào nó.", En: "“{name}” has no meaning here: the answer is how the ledger stands now, or does not depend on it."}},
	codeParameterNeeded: {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Thiếu tham số “{name}”.", En: "Parameter “{name}” is missing."}},
	codeParameterTwice:  {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Tham số “{name}” xuất hiện hai lần.", En: "Parameter “{name}” appears twice."}},
	codeParameterOther:  {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "Không có tham số “{name}” ở đây.", En: "There is no parameter “{name}” here."}},
	codePosition:        {domain.Wording{Vi: "Yêu cầu không hợp lệ", En: "The request is not valid"}, domain.Wording{Vi: "“{value}” không phải là một vị trí của sổ.", En: "“{value}” is no position of the ledger."}},
	codeRebuilding:      {domain.Wording{Vi: "Đang dựng lại", En: "A rebuild goes on"}, domain.Wording{Vi: "Dữ liệu tra cứu đang được dựng lại; hãy chờ xong hoặc hủy rồi gửi lại.", En: "The views are being rebuilt; wait for the end or cancel it, then send this again."}},
	codeRoute:           {domain.Wording{Vi: "Không có địa chỉ này", En: "There is no such address"}, domain.Wording{Vi: "Không có gì ở địa chỉ này; xem /v1/openapi.json.", En: "Nothing is at this address; see /v1/openapi.json."}},
	codeTokenMissing:    {domain.Wording{Vi: "Chưa đăng nhập", En: "Not signed in"}, domain.Wording{Vi: "Cần tiêu đề Authorization: Bearer với mã truy cập.", En: "An Authorization: Bearer header with an API token is needed."}},
	codeTokenScope:      {domain.Wording{Vi: "Không được phép", En: "Not allowed"}, domain.Wording{Vi: "Mã truy cập này chỉ được đọc.", En: "This token may only read."}},
	codeTokenUnusable:   {domain.Wording{Vi: "Chưa đăng nhập", En: "Not signed in"}, domain.Wording{Vi: "Mã truy cập không đúng, đã hết hạn hoặc đã bị thu hồi.", En: "The token is wrong, has expired or was revoked."}},
	codeTooLarge:        {domain.Wording{Vi: "Quá lớn", En: "Too large"}, domain.Wording{Vi: "Nội dung vượt quá {max} byte.", En: "The body exceeds {max} bytes."}},
	codeUnavailable:     {domain.Wording{Vi: "Tạm thời không phục vụ được", En: "Not available now"}, domain.Wording{Vi: "Hệ thống tạm thời không phục vụ được; hãy gửi lại với cùng khóa.", En: "The system cannot serve this now; send it again with the same key."}},
}

func (c code) title(l domain.Language) string { return in(transportTexts[c].title, l) }

func (c code) text(l domain.Language, args map[string]string) string {
	s := in(transportTexts[c].text, l)
	for name, value := range args {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

func in(w domain.Wording, l domain.Language) string {
	if l == domain.English && w.En != "" {
		return w.En
	}
	return w.Vi
}

func kindTitle(k domain.Kind, l domain.Language) string {
	var w domain.Wording
	switch k {
	case domain.Invalid:
		w = domain.Wording{Vi: "Dữ liệu không hợp lệ", En: "The input is not valid"}
	case domain.NotFound:
		w = domain.Wording{Vi: "Không tìm thấy", En: "Not found"}
	case domain.Conflict:
		w = domain.Wording{Vi: "Trái với những gì đã ghi", En: "It contradicts what was recorded"}
	case domain.Precondition:
		w = domain.Wording{Vi: "Đã có phiên bản mới hơn", En: "There is a newer version"}
	case domain.Forbidden:
		w = domain.Wording{Vi: "Không được phép", En: "Not allowed"}
	}
	return in(w, l)
}

// acceptLanguage picks between the two languages; Vietnamese is the default.
func acceptLanguage(header string) domain.Language {
	best, language := 0.0, domain.Vietnamese
	for header != "" {
		var part string
		part, header, _ = strings.Cut(header, ",")
		tag, quality, _ := strings.Cut(part, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(quality), "q="); ok {
			q = parseQuality(v)
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if q > best && (primary == "vi" || primary == "en") {
			best, language = q, domain.Language(primary)
		}
	}
	return language
}

// parseQuality reads "0.7"; what it cannot read counts as 0.
func parseQuality(s string) float64 {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 3 || len(whole) != 1 {
		return 0
	}
	q, unit := 0.0, 1.0
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return 0
		}
		q += float64(c-'0') * unit
		unit /= 10
	}
	return min(q, 1)
}

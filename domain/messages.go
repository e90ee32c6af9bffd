package domain

import "strings"

// Code names one reason for a refusal; it is stable, part of the API, and never translated.
type Code string

// Language of a message. Vietnamese is the first.
type Language string

const (
	Vietnamese Language = "vi"
	English    Language = "en"
)

const (
	CodeAlreadySubmitted  Code = "already_submitted"
	CodeAuthorityExists   Code = "authority_exists"
	CodeAuthorityExpired  Code = "authority_expired"
	CodeAuthorityScope    Code = "authority_scope"
	CodeAuthorityUnknown  Code = "authority_unknown"
	CodeBody              Code = "body"
	CodeChoice            Code = "choice"
	CodeClock             Code = "clock"
	CodeClockTime         Code = "clock_time"
	CodeColumnUnknown     Code = "column_unknown"
	CodeCounts            Code = "counts"
	CodeCredentialExists  Code = "credential_exists"
	CodeCredentialUnknown Code = "credential_unknown"
	CodeCSV               Code = "csv"
	CodeDate              Code = "date"
	CodeDayClosed         Code = "day_closed"
	CodeDayNotOpen        Code = "day_not_open"
	CodeDayNotOver        Code = "day_not_over"
	CodeDayOpen           Code = "day_open"
	CodeDayTooLarge       Code = "day_too_large"
	CodeDeadlinePassed    Code = "deadline_passed"
	CodeDigest            Code = "digest"
	CodeDuplicate         Code = "duplicate"
	CodeDutyUnknown       Code = "duty_unknown"
	CodeEmptyNotNil       Code = "empty_not_nil"
	CodeEncoding          Code = "encoding"
	CodeErratumFigures    Code = "erratum_figures"
	CodeEventTooLarge     Code = "event_too_large"
	CodeExempt            Code = "exempt"
	CodeFieldSummed       Code = "field_summed"
	CodeFieldUnknown      Code = "field_unknown"
	CodeFormUnknown       Code = "form_unknown"
	CodeFormVersion       Code = "form_version"
	CodeID                Code = "id"
	CodeIdentical         Code = "identical"
	CodeJSON              Code = "json"
	CodeLogKeyRetired     Code = "log_key_retired"
	CodeMoreFaults        Code = "more_faults"
	CodeNilWithFigures    Code = "nil_with_figures"
	CodeOthersRecorded    Code = "others_recorded"
	CodeNoBreach          Code = "no_breach"
	CodeNoObligation      Code = "no_obligation"
	CodeNoRows            Code = "no_rows"
	CodeNoteNeeded        Code = "note_needed"
	CodeNotInOffice       Code = "not_in_office"
	CodeNotInteger        Code = "not_integer"
	CodeNotLater          Code = "not_later"
	CodeNotReportingDay   Code = "not_reporting_day"
	CodeNotSubmitted      Code = "not_submitted"
	CodeOfficeHeld        Code = "office_held"
	CodeOldVersion        Code = "old_version"
	CodeOwnFiling         Code = "own_filing"
	CodePersonExists      Code = "person_exists"
	CodePersonUnknown     Code = "person_unknown"
	CodeRange             Code = "range"
	CodeRegimeClosed      Code = "regime_closed"
	CodeRegimeExists      Code = "regime_exists"
	CodeRegimeUnknown     Code = "regime_unknown"
	CodeRequired          Code = "required"
	CodeRoleMissing       Code = "role_missing"
	CodeSchema            Code = "schema"
	CodeScope             Code = "scope"
	CodeSignatureMissing  Code = "signature_missing"
	CodeSignatureRefused  Code = "signature_refused"
	CodeSigned            Code = "signed"
	CodeStatement         Code = "statement"
	CodeTextControl       Code = "text_control"
	CodeTextMissing       Code = "text_missing"
	CodeTextTooLong       Code = "text_too_long"
	CodeThousands         Code = "thousands"
	CodeTooLarge          Code = "too_large"
	CodeType              Code = "type"
	CodeUnitEnded         Code = "unit_ended"
	CodeUnitExists        Code = "unit_exists"
	CodeUnitUnknown       Code = "unit_unknown"
	CodeAtMost            Code = "at_most"
	CodeZone              Code = "zone"
)

// Text is the fault in words; an argument that is missing stays visible as its {name}.
func (f Fault) Text(l Language) string {
	t, ok := texts[f.Code]
	if !ok {
		return string(f.Code)
	}
	s := t.En
	if l == Vietnamese {
		s = t.Vi
	}
	if f.Code == CodeRoleMissing && f.Args["unit"] == "" {
		t = everywhere
		if s = t.En; l == Vietnamese {
			s = t.Vi
		}
	}
	pairs := make([]string, 0, 2*len(f.Args))
	for name, value := range f.Args {
		pairs = append(pairs, "{"+name+"}", inWords(name, value, l))
	}
	return strings.NewReplacer(pairs...).Replace(s) // in one pass: a value that looks like a {name} stays as it is
}

// everywhere is CodeRoleMissing where no unit is asked about.
var everywhere = Wording{Vi: "Cần vai trò “{role}” không giới hạn theo đơn vị.", En: "This needs the role “{role}”, for all units."}

// Explained reports whether a code has its words; a test asks it of every code.
func (c Code) Explained() bool { _, ok := texts[c]; return ok }

// texts is the one catalogue of refusals, for the API, the pages, the command line and imports.
var texts = map[Code]Wording{
	CodeAlreadySubmitted:  {"Đơn vị {unit} đã gửi báo cáo ngày {date} (bản {version}). Muốn thay đổi, hãy gửi đính chính.", "Unit {unit} has already reported for {date} (version {version}). To change it, send a correction."},
	CodeAtMost:            {"“{field}” là {value}, không được lớn hơn “{limit_field}” là {limit}.", "“{field}” is {value}; it may not exceed “{limit_field}”, which is {limit}."},
	CodeAuthorityExists:   {"Văn bản ủy quyền {authority} đã có.", "Authority {authority} exists already."},
	CodeAuthorityExpired:  {"Quyền ký {authority} đã hết hiệu lực từ {until}.", "Authority {authority} ended at {until}."},
	CodeAuthorityScope:    {"Quyền ký {authority} không bao gồm biểu {form}.", "Authority {authority} does not cover form {form}."},
	CodeAuthorityUnknown:  {"Không có quyền ký {authority}.", "There is no authority {authority}."},
	CodeBody:              {"Không đọc được nội dung gửi lên: {detail}", "The body cannot be read: {detail}"},
	CodeChoice:            {"“{value}” không phải là một lựa chọn hợp lệ.", "“{value}” is not one of the choices."},
	CodeClock:             {"Thời điểm nhận {value} nằm sau đồng hồ của sổ.", "The time of receipt {value} lies after the ledger's clock."},
	CodeClockTime:         {"“{value}” không phải là giờ hợp lệ ở vị trí này (ví dụ 15:00).", "“{value}” is not a fitting time of day (an example is 15:00)."},
	CodeColumnUnknown:     {"Không biểu nào có cột “{name}”; hãy sửa tiêu đề theo tên hoặc nhãn của chỉ tiêu, hoặc bỏ cột này.", "No form has the column “{name}”; head it with a field's name or label, or leave it out."},
	CodeCounts:            {"Số đếm của ngày không khớp: đếm được {counted} trên {obligations} nghĩa vụ báo cáo.", "The counts of the day do not add up: {counted} counted of {obligations} obligations."},
	CodeCredentialExists:  {"Khóa {credential} đã được đăng ký.", "Credential {credential} is already enrolled."},
	CodeCredentialUnknown: {"Không có khóa {credential} đang dùng được.", "There is no usable credential {credential}."},
	CodeCSV:               {"Tệp CSV không hợp lệ: {detail}", "Not valid CSV: {detail}"},
	CodeDate:              {"“{value}” không phải là ngày hợp lệ (ví dụ 2021-02-08).", "“{value}” is not a fitting date (an example is 2021-02-08)."},
	CodeDayClosed:         {"Ngày {date} đã khóa.", "The day {date} is closed already."},
	CodeDayNotOpen:        {"Ngày báo cáo này chưa được mở; hãy kiểm tra lại ngày.", "This day has not been opened; check the date."},
	CodeDayNotOver:        {"Ngày báo cáo chưa kết thúc; có thể khóa từ {closes}.", "The day is not over; it can be closed from {closes}."},
	CodeDayOpen:           {"Ngày {date} đã được mở.", "The day {date} is open already."},
	CodeDeadlinePassed:    {"Thời hạn {due} đã qua; chỉ còn có thể xét chấp nhận lý do.", "The deadline {due} has passed; a breach can still be excused."},
	CodeDigest:            {"Số liệu đã ký có mã {digest}, bản hiện tại có mã {current}. Hãy xem lại rồi ký.", "You signed digest {digest}, the current version has {current}. Look again, then sign."},
	CodeDuplicate:         {"“{name}” xuất hiện hai lần; hãy giữ lại một.", "“{name}” appears twice; keep one of them."},
	CodeDutyUnknown:       {"Chế độ báo cáo không có nhiệm vụ “{duty}”.", "The regime has no duty “{duty}”."},
	CodeEmptyNotNil:       {"Báo cáo trống không phải là báo cáo “không phát sinh”. Hãy điền số liệu hoặc chọn “không phát sinh”.", "An empty report is not a nil report. Fill in figures or say nil."},
	CodeEncoding:          {"Tệp không phải UTF-8 ({detail}); hãy lưu lại dưới dạng “CSV UTF-8”.", "The file is not UTF-8 ({detail}); save it as “CSV UTF-8”."},
	CodeDayTooLarge: {"Ngày {date} có {count} nghĩa vụ báo cáo, nhiều hơn mức {max} mà một ngày của một chế độ ghi được với các mã đơn vị này. Nhiều nhất là nhiệm vụ “{duty}” với {units} đơn vị: hãy thu hẹp đơn vị phải báo cáo, hoặc tách nhiệm vụ sang một chế độ khác.",
		"{date} has {count} obligations, more than the {max} that a day of one regime can hold with these units' codes. Duty “{duty}” has the most, {units} units: narrow down who owes it, or move duties into a regime of their own."},
	CodeEventTooLarge:    {"Nội dung cần ghi ({kind}) dài {size} byte, quá mức {max} byte của một sự kiện; hãy chia nhỏ.", "What would be recorded ({kind}) has {size} bytes; an event may have {max}. Divide it."},
	CodeErratumFigures:   {"Đính chính về hình thức không được thay đổi số liệu; hãy chọn thay thế nội dung.", "An erratum of form may not change a figure; choose a correction of content."},
	CodeExempt:           {"Đơn vị {unit} được miễn báo cáo ngày {date}.", "Unit {unit} is exempt on {date}."},
	CodeFieldSummed:      {"“{field}” do hệ thống tổng hợp từ cấp dưới, không nhập tay; hãy để trống.", "“{field}” is summed from the units below and cannot be typed in; leave it empty."},
	CodeFieldUnknown:     {"Biểu không có chỉ tiêu “{field}”; hãy bỏ đi, hoặc kiểm tra lại biểu.", "The form has no field “{field}”; leave it out, or check the form."},
	CodeFormUnknown:      {"Không có biểu “{form}”; hãy kiểm tra lại mã biểu.", "There is no form “{form}”; check its code."},
	CodeFormVersion:      {"Biểu phiên bản {version} không còn dùng; hãy dùng phiên bản {current}.", "Version {version} of the form is not in use; use version {current}."},
	CodeID:               {"“{value}” không phải là mã hợp lệ: từ 1 đến 40 chữ thường, chữ số hoặc “_”, không trùng.", "“{value}” is not a fitting id: 1 to 40 lower-case letters, digits or “_”, used once."},
	CodeIdentical:        {"Đính chính giống hệt bản {version}; không có gì thay đổi.", "The correction is identical to version {version}; nothing would change."},
	CodeJSON:             {"JSON không hợp lệ: {detail}", "Not valid JSON: {detail}"},
	CodeLogKeyRetired:    {"Khóa {key} của nhật ký minh bạch đã ngừng dùng; khóa đã ngừng thì không dùng lại.", "The key {key} of the transparency log was retired; a retired key does not come back."},
	CodeMoreFaults:       {"Còn {count} lỗi khác chưa liệt kê.", "{count} more faults are not listed."},
	CodeOthersRecorded:   {"{count} báo cáo khác của tệp đã được ghi vào sổ; chỉ các dòng nêu trên là không, vì có người khác gửi trước.", "The file's other {count} reports were recorded; only the rows named were not, because somebody else was faster."},
	CodeNilWithFigures:   {"Báo cáo “không phát sinh” không được kèm số liệu; hãy bỏ một trong hai.", "A nil report carries no figures; drop one or the other."},
	CodeNoBreach:         {"Đơn vị {unit} không có vi phạm “{breach}” còn hiệu lực ngày {date}.", "Unit {unit} has no standing breach “{breach}” on {date}."},
	CodeNoObligation:     {"Không có nghĩa vụ báo cáo: đơn vị {unit}, biểu {form}, ngày {date}. Hãy kiểm tra lại mã đơn vị, biểu và ngày.", "There is no such obligation: unit {unit}, form {form}, date {date}. Please check all three."},
	CodeNoRows:           {"Tệp không có dòng số liệu nào; mỗi báo cáo là một dòng dưới hàng tiêu đề.", "The file holds no rows; each report is one, below the headings."},
	CodeNoteNeeded:       {"Số liệu bất thường (quy tắc {rule}: trước {was}, nay {is}); hãy ghi chú giải thích.", "The figure is unusual (rule {rule}: was {was}, is {is}); add a note that explains it."},
	CodeNotInOffice:      {"Người {person} không giữ chức vụ hoặc quyền ký của đơn vị {unit} vào lúc này.", "Person {person} does not hold the office of unit {unit}, or a right to sign for it, at this time."},
	CodeNotInteger:       {"Phải là số nguyên, không có phần thập phân và không đặt trong ngoặc kép.", "It must be a whole number, without decimals and without quotation marks."},
	CodeNotLater:         {"Thời điểm phải sau {due}.", "The time must lie after {due}."},
	CodeNotReportingDay:  {"Ngày {date} không phải là ngày báo cáo của chế độ này.", "{date} is not a reporting day of this regime."},
	CodeNotSubmitted:     {"Đơn vị {unit} chưa gửi báo cáo ngày {date}.", "Unit {unit} has not reported for {date}."},
	CodeOfficeHeld:       {"Chức vụ đang do {person} giữ từ {from}.", "The office is held by {person} since {from}."},
	CodeOldVersion:       {"Bản {version} không phải là bản mới nhất; bản hiện tại là {current}.", "Version {version} is not the newest; the current one is {current}."},
	CodeOwnFiling:        {"Người lập báo cáo (bản {version}) không được tự ký duyệt.", "The filer of version {version} may not sign it off."},
	CodePersonExists:     {"Người {person} đã có trong sổ.", "Person {person} is registered already."},
	CodePersonUnknown:    {"Không có người này trong sổ.", "There is no such person."},
	CodeRange:            {"Phải nằm trong khoảng từ {min} đến {max}.", "It must lie between {min} and {max}."},
	CodeRegimeClosed:     {"Chế độ báo cáo {regime} đã kết thúc.", "Regime {regime} is closed."},
	CodeRegimeExists:     {"Chế độ báo cáo {regime} đã có.", "Regime {regime} exists already."},
	CodeRegimeUnknown:    {"Không có chế độ báo cáo này.", "There is no such regime."},
	CodeRequired:         {"Thiếu “{name}”; hãy bổ sung.", "“{name}” is missing; fill it in."},
	CodeRoleMissing:      {"Cần vai trò “{role}” đối với đơn vị “{unit}”.", "This needs the role “{role}” for unit “{unit}”."},
	CodeSchema:           {"Không đúng lược đồ: {detail}", "It does not fit the schema: {detail}"},
	CodeScope:            {"Không được cộng số liệu phạm vi {scope} vào phạm vi {expected}.", "Figures of scope {scope} cannot be added to scope {expected}."},
	CodeSignatureMissing: {"Người ký đã đăng ký khóa ký, nên phải ký bằng khóa.", "The signer has a key in use, so the sign-off must be signed with it."},
	CodeSignatureRefused: {"Chữ ký không dùng được ({reason}).", "The signature cannot be accepted ({reason})."},
	CodeSigned:           {"Bản {version} đã được ký duyệt.", "Version {version} is signed off already."},
	CodeStatement:        {"Nội dung ký không khớp với bản báo cáo; hãy tải lại và ký.", "The statement is not the one for this version; load it again, then sign."},
	CodeTextControl:      {"Có ký tự điều khiển không dùng được trong văn bản.", "It holds a control character, which a text may not."},
	CodeTextMissing:      {"Bắt buộc phải điền.", "It must not be empty."},
	CodeTextTooLong:      {"Quá dài hoặc không phải UTF-8; tối đa {max} byte.", "Too long, or not UTF-8; at most {max} bytes."},
	CodeThousands:        {"“{value}” có dấu phân cách hàng nghìn; hãy nhập số nguyên viết liền (ví dụ 1234).", "“{value}” has a thousands separator; write the whole number without one (an example is 1234)."},
	CodeTooLarge:         {"Nội dung vượt quá {max} byte.", "The body exceeds {max} bytes."},
	CodeType:             {"Sai kiểu: cần {want}.", "The type is wrong: {want} is wanted."},
	CodeUnitEnded:        {"Đơn vị {unit} đã kết thúc từ {date}.", "Unit {unit} ended on {date}."},
	CodeUnitExists:       {"Đơn vị {unit} đã có.", "Unit {unit} exists already."},
	CodeUnitUnknown:      {"Không có đơn vị này; hãy kiểm tra lại mã đơn vị.", "There is no such unit; check its code."},
	CodeZone:             {"Không có múi giờ “{value}”.", "There is no time zone “{value}”."},

	"finding_cumulative_fall":   {"“{field}” là số cộng dồn nhưng giảm so với kỳ trước", "“{field}” counts everything so far, yet it fell"},
	"finding_denominator_moved": {"“{field}” là mẫu số nhưng thay đổi trên một phần mười", "“{field}” is a denominator, yet it moved by more than a tenth"},
	"finding_same_as_before":    {"mọi số liệu giống hệt kỳ trước", "every figure is the same as the day before"},
}

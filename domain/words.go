package domain

import (
	"maps"
	"strings"
)

// words are the codes that answers, refusals and events carry, as people say them: by what the code is of.
var words = map[string]map[string]Wording{
	"status": {
		string(StatusDue): {"chưa đến hạn, chưa gửi", "due, not filed"}, string(StatusOnTime): {"đúng hạn", "on time"}, string(StatusLate): {"trễ hạn", "late"},
		string(StatusMissing): {"không báo cáo", "missing"}, string(StatusExempt): {"được miễn", "exempt"},
	},
	"sign_off": {
		string(SignOffNone): {"chưa gửi", "nothing filed"}, string(SignOffWaiting): {"chờ ký duyệt", "waiting for a signature"}, string(SignOffSigned): {"đã ký duyệt", "signed"},
		string(SignOffSuperseded): {"chữ ký thuộc bản trước", "signed in an earlier version"}, string(SignOffReturned): {"đã trả lại", "returned"},
	},
	"timeliness": {string(OnTime): {"đúng hạn", "on time"}, string(Late): {"trễ hạn", "late"}},
	"breach": {
		string(BreachMissing): {"không báo cáo", "missing"}, string(BreachLate): {"báo cáo trễ hạn", "late"}, string(BreachUnsigned): {"không ký duyệt đúng hạn", "unsigned"},
	},
	"outcome": {
		"standing": {"còn hiệu lực", "standing"}, "withdrawn": {"đã rút", "withdrawn"}, "explained": {"đã giải trình", "explained"},
		"excused": {"đã chấp nhận lý do", "excused"}, "upheld": {"giữ nguyên", "upheld"},
	},
	"channel": {
		string(ChannelWeb): {"trang web", "web page"}, string(ChannelAPI): {"máy gửi (API)", "API"}, string(ChannelSpreadsheet): {"bảng tính", "spreadsheet"},
		string(ChannelMail): {"thư điện tử", "mail"}, string(ChannelSystem): {"tự động", "automatic"},
	},
	"role": {
		string(RoleFiler): {"người lập báo cáo", "filer"}, string(RoleHead): {"người đứng đầu", "head"}, string(RoleDistrict): {"cấp huyện", "district"},
		string(RoleDepartment): {"cơ quan chủ trì", "department"}, string(RoleInspector): {"thanh tra", "inspector"}, string(RoleAdmin): {"quản trị", "admin"},
		string(RoleSystem): {"hệ thống", "system"},
	},
	"capacity": {
		string(CapacityHead): {"người đứng đầu (TM.)", "head (TM.)"}, string(CapacityActing): {"quyền (Q.)", "acting head (Q.)"},
		string(CapacityKT): {"ký thay (KT.)", "deputy, for the head (KT.)"}, string(CapacityTL): {"thừa lệnh (TL.)", "by order (TL.)"},
		string(CapacityTUQ): {"thừa ủy quyền (TUQ.)", "by authority (TUQ.)"},
	},
	"level": {
		string(LevelProvince): {"tỉnh", "province"}, string(LevelDistrict): {"huyện", "district"}, string(LevelCommune): {"xã", "commune"},
		string(LevelBody): {"cơ quan, tổ chức", "department or body"},
	},
	"scope": {
		string(ScopeTerritory): {"trên địa bàn", "territory"}, string(ScopeOwnStaff): {"nội bộ cơ quan", "own staff"}, string(ScopeSector): {"toàn ngành", "sector"},
	},
	"kind": {
		ReportSubmitted{}.Kind(): {"gửi báo cáo", "report submitted"}, ReportCorrected{}.Kind(): {"đính chính", "corrected"}, ReportReturned{}.Kind(): {"trả lại", "returned"},
		ReportSignedOff{}.Kind(): {"ký duyệt", "signed off"}, DeadlineBreached{}.Kind(): {"ghi nhận vi phạm thời hạn", "deadline breached"},
		BreachWithdrawn{}.Kind(): {"rút ghi nhận vi phạm", "breach withdrawn"}, BreachExplained{}.Kind(): {"giải trình", "explained"},
		BreachExcused{}.Kind(): {"chấp nhận lý do", "excused"}, BreachUpheld{}.Kind(): {"giữ nguyên vi phạm", "upheld"}, ReminderSent{}.Kind(): {"đôn đốc", "reminder sent"},
	},
	"correction": {string(CorrectionContent): {"thay thế nội dung", "of content"}, string(CorrectionErratum): {"sai sót hình thức", "erratum of form"}},
	"rule": {
		string(FindingFall): {"số cộng dồn giảm", "a cumulative count fell"}, string(FindingDenominator): {"mẫu số thay đổi trên một phần mười", "a denominator moved by more than a tenth"},
		string(FindingRepeat): {"mọi số liệu giống hệt kỳ trước", "every figure as the day before"},
	},
	"type": {
		"string": {"chuỗi ký tự", "string"}, "boolean": {"true hoặc false", "true or false"}, "integer": {"số nguyên", "integer"}, "number": {"số", "number"},
		"object": {"đối tượng JSON", "a JSON object"}, "array": {"danh sách JSON", "a JSON array"}, "null": {"null", "null"},
	},
	// Why a signature was refused: the codes of package signing.
	"signature": {
		"malformed":      {"tiêu đề chữ ký không đọc được", "the signature's header cannot be read"},
		"not_judged":     {"máy chủ này không kiểm được chữ ký", "this server cannot judge signatures"},
		"signing_method": {"cách ký không được dùng ở đây", "a method that is not in use here"}, "signing_base64": {"có phần không phải base64 hợp lệ", "a part is not valid base64"},
		"signing_public_key": {"không đọc được khóa đã đăng ký", "the enrolled key cannot be read"}, "signing_client_data": {"dữ liệu của trình duyệt không hợp lệ", "the browser's data are not valid"},
		"signing_authenticator_data": {"dữ liệu của thiết bị ký không hợp lệ", "the authenticator's data are not valid"}, "signing_cms": {"cấu trúc CMS không được chấp nhận", "the CMS structure is not accepted"},
		"signing_response": {"câu trả lời của trình duyệt không hợp lệ", "the browser's answer is not valid"}, "signing_attestation": {"chứng nhận của thiết bị ký không hợp lệ", "the authenticator's attestation does not hold"},
		"signing_other_credential": {"chữ ký thuộc khóa khác", "the signature is another key's"}, "signing_not_enrolled": {"khóa chưa được đăng ký", "the key was not enrolled"},
		"signing_revoked": {"khóa đã bị thu hồi", "the key was revoked"}, "signing_enrolled_twice": {"khóa được đăng ký hai lần", "the key is enrolled twice"},
		"signing_wrong_signature": {"chữ ký không khớp với nội dung", "the signature does not fit the content"}, "signing_ceremony": {"chữ ký được tạo cho mục đích khác", "it was made for another purpose"},
		"signing_challenge": {"chữ ký thuộc lời ký khác", "it signs another statement"}, "signing_digest": {"chữ ký thuộc nội dung khác", "it signs another content"},
		"signing_origin": {"ký trên trang không phải của hệ thống", "signed on a page that is not ours"}, "signing_cross_origin": {"ký trong khung của trang khác", "signed inside another page's frame"},
		"signing_relying_party": {"khóa được dùng cho trang khác", "the key was used for another site"}, "signing_user_absent": {"không có người chạm vào thiết bị ký", "nobody touched the authenticator"},
		"signing_user_not_verified": {"thiết bị ký chưa kiểm tra người dùng", "the authenticator did not check who it was"}, "signing_synced": {"khóa có thể sao chép sang thiết bị khác", "the key can be copied to other devices"},
		"signing_attached": {"CMS kèm nội dung riêng", "the CMS carries its own content"}, "signing_unsigned_parts": {"CMS có phần không được ký", "the CMS carries parts that nothing signs"},
		"signing_algorithm": {"thuật toán không được chấp nhận", "the algorithm is not accepted"}, "signing_certificate_key": {"chứng thư thuộc khóa khác", "the certificate is another key's"},
		"signing_certificate_chain": {"chứng thư không dẫn tới gốc tin cậy", "the certificate leads to no trusted root"}, "signing_certificate_time": {"chứng thư không có hiệu lực vào lúc đó", "the certificate was not valid then"},
		"signing_certificate_use": {"chứng thư không dùng để ký", "the certificate is not for signatures"}, "signing_signed_in_future": {"thời điểm ký nằm sau lúc nhận", "the signing time is after the receipt"},
		"signing_unattested": {"thiết bị ký không có chứng nhận", "the authenticator is not attested"}, "signing_authenticator_model": {"loại thiết bị ký không có trong danh sách", "the model of authenticator is not listed"},
		"signing_enrolment_challenge": {"đăng ký cho yêu cầu khác", "the enrolment answers another challenge"}, "signing_policy_incomplete": {"cấu hình ký còn thiếu", "the signing policy is incomplete"},
	},
	"detail": {
		"nothing": {"không có nội dung", "nothing there"}, "unexpected_end": {"kết thúc giữa chừng", "it ends too early"}, "utf8": {"không phải UTF-8", "not UTF-8"},
		"name_not_string": {"tên phải là chuỗi trong ngoặc kép", "a name must be a string in quotation marks"}, "more_values": {"có nhiều hơn một giá trị", "more than one value"},
		"too_deep": {"lồng nhau quá sâu", "nested too deeply"}, "character": {"ký tự không đúng chỗ", "a character that does not belong there"}, "syntax": {"sai cú pháp", "wrong syntax"},
		"bare_quote": {"dấu ngoặc kép nằm trong ô không đặt trong ngoặc kép", "a quotation mark inside a cell without quotation marks"},
		"quote":      {"dấu ngoặc kép thừa hoặc chưa đóng", "a quotation mark too many or too few"}, "field_count": {"số ô không bằng số cột", "another number of cells than columns"},
		"cut_off": {"truyền chưa trọn", "it was cut off"}, "multipart": {"không đúng dạng multipart/form-data", "not multipart/form-data"}, "unreadable": {"không đọc được", "unreadable"},
		"pattern": {"không đúng mẫu", "it does not match the pattern"}, "format": {"không đúng định dạng", "not in the format"},
		"const": {"khác giá trị bắt buộc", "not the value it must have"}, "minimum": {"quá nhỏ", "too small"}, "maximum": {"quá lớn", "too large"},
		"minItems": {"quá ít phần tử", "too few items"}, "maxItems": {"quá nhiều phần tử", "too many items"}, "uniqueItems": {"có phần tử lặp lại", "an item twice"},
		"minProperties": {"quá ít mục", "too few members"}, "maxProperties": {"quá nhiều mục", "too many members"}, "propertyNames": {"có tên mục không hợp lệ", "a member's name is not valid"},
		"anyOf": {"không khớp dạng nào cho phép", "it fits none of the forms allowed"}, "oneOf": {"không khớp đúng một dạng", "it does not fit exactly one form"},
		"not": {"rơi vào dạng bị cấm", "it fits a form that is not allowed"}, "schema": {"không đúng lược đồ", "it does not fit"},
	},
}

// argWords says which words an argument of a refusal is put in.
var argWords = map[string]string{"role": "role", "rule": "rule", "breach": "breach", "scope": "scope", "expected": "scope", "capacity": "capacity", "want": "type", "detail": "detail", "reason": "signature"}

// Words gives, by what codes are of (status, breach, channel, rule, …), each code in words.
func Words() map[string]map[string]Wording {
	out := make(map[string]map[string]Wording, len(words))
	for of, codes := range words {
		out[of] = maps.Clone(codes)
	}
	return out
}

// Word is a code as people say it; the code itself when it has no words.
func Word(of, code string, l Language) string {
	w, ok := words[of][code]
	switch {
	case !ok:
		return code
	case l == Vietnamese:
		return w.Vi
	}
	return w.En
}

// inWords puts an argument of a refusal in words: several codes joined by commas, or one before what belongs to it, as in
// "character 'x' (byte 7)".
func inWords(name, value string, l Language) string {
	of := argWords[name]
	if of == "" {
		return value
	}
	parts := strings.Split(value, ", ")
	for i, p := range parts {
		code, rest, more := strings.Cut(p, " ")
		if word := Word(of, code, l); word != code && more {
			parts[i] = word + " " + rest
		} else if !more {
			parts[i] = word
		}
	}
	return strings.Join(parts, ", ")
}

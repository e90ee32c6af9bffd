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
		"object": {"đối tượng JSON", "object"}, "array": {"danh sách JSON", "array"}, "null": {"null", "null"},
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
var argWords = map[string]string{"role": "role", "rule": "rule", "breach": "breach", "scope": "scope", "expected": "scope", "capacity": "capacity", "want": "type", "detail": "detail"}

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

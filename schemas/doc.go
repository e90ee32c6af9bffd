// Package schemas keeps a fact's bytes readable for ever: it encodes events, decodes every version ever released, brings
// old ones up to the current version in place, and judges figures by the forms, which are schema files and not code.
//
// Its promise: what Encode wrote, every later version of this package decodes to the same meaning. The bytes themselves
// never change; an old version becomes a new one in memory, hop by hop, and no hop makes up data that was not recorded.
// A schema file that was released is never edited: schemas/LOCK holds its hash.
//
// Its failure model: Decode fails, naming stream, revision and kind, on bytes it did not write (ErrMalformed), on a kind
// it has never heard of (ErrUnknownKind), and on a version newer than this program (ErrNewer). The last two mean that a
// newer program wrote them: stop and upgrade, do not skip. Load fails when a file that is part of the program is wrong,
// so a program that started has every schema, every form and every hop. Refusals of what people sent are *domain.Error.
//
// One file's way: events/<Kind>/<version>.json and forms/<form>/<version>.json are JSON Schema 2020-12, embedded.
package schemas

package api

import (
	"net/http"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

const personPath = "/v1/persons/{person}"

type registerPersonBody struct {
	Name      string `json:"name"`
	Synthetic bool   `json:"synthetic,omitempty" required:"false"`
}

type grantRoleBody struct {
	Role  domain.Role     `json:"role" enum:"filer,head,district,department,inspector,admin"`
	Unit  domain.UnitCode `json:"unit,omitempty" required:"false" doc:"None: every unit."`
	From  *time.Time      `json:"from,omitempty" required:"false" doc:"Default: now."`
	Until *time.Time      `json:"until,omitempty" required:"false" doc:"First instant without it; default: without end."`
}

type revokeRoleBody struct {
	Role   domain.Role     `json:"role"`
	Unit   domain.UnitCode `json:"unit,omitempty" required:"false"`
	Reason string          `json:"reason"`
}

type enrollBody struct {
	Credential string `json:"credential"`
	Method     string `json:"method" enum:"ed25519,cms"`
	PublicKey  string `json:"public_key"`
	Detail     string `json:"detail,omitempty" required:"false"`
}

type revokeCredentialBody struct {
	Credential string `json:"credential"`
	Reason     string `json:"reason"`
}

// Person is a person with their roles and credentials, as the ledger has them now.
type Person struct {
	Person      domain.PersonID      `json:"person"`
	Name        string               `json:"name"`
	Synthetic   bool                 `json:"synthetic,omitempty"`
	Roles       []domain.RoleGranted `json:"roles"`
	Credentials []PersonCredential   `json:"credentials"`
}

// PersonCredential is a key of a person.
type PersonCredential struct {
	Credential string     `json:"credential"`
	Method     string     `json:"method"`
	EnrolledAt time.Time  `json:"enrolled_at"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

func (h *Handler) personRoutes() []*route {
	person := func(c *call) domain.PersonID { return domain.PersonID(c.path("person")) }
	return []*route{
		{id: "register-person", method: http.MethodPost, path: personPath, tag: "persons", summary: "Register a person",
			body: registerPersonBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b registerPersonBody) (commands.Result, error) {
				return h.Ledger.RegisterPerson(c.ctx, cmd, domain.PersonRegistered{Person: person(c), Name: b.Name, Synthetic: b.Synthetic})
			})},
		{id: "grant-role", method: http.MethodPost, path: personPath + "/roles", tag: "persons", summary: "Give a person a role, for a unit or for all, for a time",
			body: grantRoleBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b grantRoleBody) (commands.Result, error) {
				from := c.receivedAt
				if b.From != nil {
					from = *b.From
				}
				if b.Unit != "" {
					if err := h.knownUnit(c, "/unit", b.Unit); err != nil {
						return commands.Result{}, err
					}
				}
				return h.Ledger.GrantRole(c.ctx, cmd, person(c), b.Role, b.Unit, from, b.Until)
			})},
		{id: "revoke-role", method: http.MethodPost, path: personPath + "/role-revocations", tag: "persons", summary: "Take a role away",
			body: revokeRoleBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b revokeRoleBody) (commands.Result, error) {
				return h.Ledger.RevokeRole(c.ctx, cmd, person(c), b.Role, b.Unit, b.Reason)
			})},
		{id: "enroll-credential", method: http.MethodPost, path: personPath + "/credentials", tag: "persons", summary: "Bind a key to a person",
			body: enrollBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b enrollBody) (commands.Result, error) {
				// A passkey also signs its holder in, so it is enrolled where its challenge was made: in the browser. Here
				// whoever held a person's token for a moment could leave a key of their own behind.
				if b.Method == "webauthn" {
					return commands.Result{}, domain.Refuse(domain.Invalid, domain.CodeChoice, "/method", "value", b.Method)
				}
				return h.Ledger.EnrollCredential(c.ctx, cmd, domain.CredentialEnrolled{Person: person(c), Credential: b.Credential, Method: b.Method, PublicKey: b.PublicKey, Detail: b.Detail})
			})},
		{id: "revoke-credential", method: http.MethodPost, path: personPath + "/credential-revocations", tag: "persons", summary: "End a key's use",
			body: revokeCredentialBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b revokeCredentialBody) (commands.Result, error) {
				return h.Ledger.RevokeCredential(c.ctx, cmd, person(c), b.Credential, b.Reason)
			})},
		{id: "get-me", method: http.MethodGet, path: "/v1/me", tag: "persons", summary: "Who the token speaks for, and what they may do",
			answer: Person{}, handle: func(c *call) error { return h.getPerson(c, c.actor.ID) }},
		{id: "get-person", method: http.MethodGet, path: personPath, tag: "persons", summary: "A person with their roles and credentials",
			answer: Person{}, handle: func(c *call) error { return h.getPerson(c, person(c)) }},
	}
}

func (h *Handler) getPerson(c *call, id domain.PersonID) error {
	p, err := h.Ledger.Person(c.ctx, id)
	if err != nil {
		return err
	}
	if !p.Exists() {
		return domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(id))
	}
	out := Person{Person: p.ID, Name: p.Name, Synthetic: p.Synthetic, Roles: p.Grants}
	for _, x := range p.Credentials {
		credential := PersonCredential{Credential: x.Credential, Method: x.Method, EnrolledAt: x.EnrolledAt}
		if !x.RevokedAt.IsZero() {
			credential.RevokedAt = &x.RevokedAt
		}
		out.Credentials = append(out.Credentials, credential)
	}
	return c.answer(http.StatusOK, out)
}

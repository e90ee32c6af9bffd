// Package enroll turns what a person or a machine brings at enrolment into the stored form of a credential.
//
// Its promise: a credential it returns has a public key that package signing can verify with for ever, and was made in a
// way the policy allows: by an authenticator that verified its user, for our site, in answer to our challenge, with a key
// that stays in the device, and, where the policy asks for it, by a model of authenticator that proved what it is.
//
// Its failure model: the browser's answer is forged until shown otherwise. Without attestation everything an
// authenticator says of itself (its model, that its key cannot be copied) is the word of whoever sends the answer; then
// the promise about the device is only as good as that. The challenge must be fresh, secret until sent and taken once:
// that is the caller's part, as is knowing who the person is.
//
// Everything the decision rested on goes into Detail, so that it can be judged again later.
package enroll

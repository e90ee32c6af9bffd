package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

type healthCmd struct {
	URL string `help:"Readiness address of the server." default:"http://127.0.0.1:8080/readyz" name:"url"`
}

func (healthCmd) Help() string {
	return `For containers that have no other program to ask with.

Example:
  answerable health --url http://127.0.0.1:8080/readyz`
}

func (c healthCmd) Run(a *app) error {
	ctx, cancel := context.WithTimeout(a.ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usagef("--url: %v", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return a.fail("chưa sẵn sàng: không có máy chủ nào trả lời ở %s (%v)", "not ready: no server answers at %s (%v)", c.URL, errors.Unwrap(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return a.fail("chưa sẵn sàng: %s trả lời %s", "not ready: %s answered %s", c.URL, answer.Status)
	}
	a.printf("sẵn sàng\n", "ready\n")
	return nil
}

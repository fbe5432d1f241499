// SPDX-License-Identifier: MIT

// The Go peer of the bench: the standard library and golang.org/x/text, streaming.
//
//	gopeer j1 URL CSV      CSV -> GBK -> multipart upload, the body made while it is sent
//	gopeer j2 URL CSV N    CSV -> JSON, 200 rows a call, N calls in flight
package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const rowsPerCall = 200

// The list's columns, in its order.
const (
	name = iota
	phone
	mail
	company
	sex
	grade
	groups
	note
	uuid
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gopeer:", err)
		os.Exit(1)
	}
}

func open(path string) (*os.File, *csv.Reader) {
	file, err := os.Open(path)
	check(err)
	in := csv.NewReader(bufio.NewReaderSize(file, 1<<18))
	in.ReuseRecord = true
	_, err = in.Read() // the header
	check(err)
	return file, in
}

func accepted(answer *http.Response) error {
	defer answer.Body.Close()
	var body struct{ Code int }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return err
	}
	io.Copy(io.Discard, answer.Body) // so that the connection is used again
	if answer.StatusCode != 200 || body.Code != 200 {
		return fmt.Errorf("refused: status %d, code %d", answer.StatusCode, body.Code)
	}
	return nil
}

func writeForm(form *multipart.Writer, path string) error {
	for _, field := range [][2]string{
		{"abbreviate", "bench"}, {"dataSourceName", "bench"}, {"operationType", "0"}, {"dataSourceType", "0"}, {"token", "bench-token"},
	} {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	part, err := form.CreateFormFile("dataSourceFile", "contacts.csv")
	if err != nil {
		return err
	}
	file, in := open(path)
	defer file.Close()
	buffered := bufio.NewWriterSize(part, 1<<16)
	gbk := encoding.ReplaceUnsupported(simplifiedchinese.GBK.NewEncoder()).Writer(buffered)
	out := csv.NewWriter(gbk)
	out.UseCRLF = true
	if err := out.Write([]string{"uuid", "name", "phone", "email", "company", "sex", "grade", "groups", "note"}); err != nil {
		return err
	}
	row := make([]string, 9)
	for {
		r, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		row[0] = r[uuid]
		copy(row[1:], r[:uuid])
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	if closer, ok := gbk.(io.Closer); ok {
		if err := closer.Close(); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return form.Close()
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// csvOnly reads the list and throws it away, in the cheapest way the package has; it prints the CPU seconds of that.
func csvOnly(path string) {
	began := cpuSeconds()
	defer func() { fmt.Printf("%.6f\n", cpuSeconds()-began) }()
	file, in := open(path)
	defer file.Close()
	for {
		if _, err := in.Read(); err == io.EOF {
			return
		} else if err != nil {
			check(err)
		}
	}
}

func j1(url, path string) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() { writer.CloseWithError(writeForm(form, path)) }()
	answer, err := http.Post(url+"/api/v1/config/openapi/contact/uploadDataSource/v2", form.FormDataContentType(), reader)
	check(err)
	check(accepted(answer))
}

type customer struct {
	Name    string `json:"name"`
	Phone   string `json:"phone"`
	Email   string `json:"email"`
	Company string `json:"company"`
	Sex     int    `json:"sex"`
	Grade   int    `json:"grade_id"`
	Extra   string `json:"extra"`
}

type call struct {
	Data       []customer `json:"data"`
	Encryption bool       `json:"encryption"`
}

func send(client *http.Client, url string, rows []customer) error {
	body, err := json.Marshal(call{Data: rows})
	if err != nil {
		return err
	}
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer bench-token")
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	return accepted(answer)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func j2(url, path string, inFlight int) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = inFlight
	client := &http.Client{Transport: transport}
	batches := make(chan []customer, inFlight)
	var workers sync.WaitGroup
	for i := 0; i < inFlight; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for rows := range batches {
				check(send(client, url+"/agent-api/user/bench/async_customer", rows))
			}
		}()
	}
	file, in := open(path)
	defer file.Close()
	rows := make([]customer, 0, rowsPerCall)
	for {
		r, err := in.Read()
		if err == io.EOF {
			break
		}
		check(err)
		rows = append(rows, customer{r[name], r[phone], r[mail], r[company], number(r[sex]), number(r[grade]), r[uuid]})
		if len(rows) == rowsPerCall {
			batches <- rows
			rows = make([]customer, 0, rowsPerCall)
		}
	}
	if len(rows) > 0 {
		batches <- rows
	}
	close(batches)
	workers.Wait()
}

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "j1":
		j1(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "j2":
		j2(os.Args[2], os.Args[3], number(os.Args[4]))
	case len(os.Args) == 4 && os.Args[1] == "csv":
		csvOnly(os.Args[3])
	default:
		fmt.Fprintln(os.Stderr, "usage: gopeer j1 URL CSV | j2 URL CSV IN_FLIGHT | csv - CSV")
		os.Exit(2)
	}
}

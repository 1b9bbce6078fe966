package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Plot is a picture of cost against size.
type Plot struct {
	Name   string  `json:"name"` // of the file, without its ending
	Title  string  `json:"title"`
	X      string  `json:"x"` // what the axes count
	Y      string  `json:"y"`
	Curves []Curve `json:"curves"`
}

// Curve is one line of a plot.
type Curve struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"` // X increases
}

// Point is one measured value.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// The picture's measures, in pixels, and its colours, which are legible on
// white and on black.
const (
	width, height           = 720, 400
	left, right, top, below = 70, 20, 50, 60
	ticks                   = 5
)

func colours() []string { return []string{"#1f77b4", "#d9730d", "#2a9d5c", "#8a5cc2"} }

// WriteSVG draws the plot. Both axes begin at 0, so that what looks flat is.
func (p Plot) WriteSVG(w io.Writer) error {
	maxX, maxY := 0.0, 0.0
	for _, c := range p.Curves {
		for _, point := range c.Points {
			maxX, maxY = max(maxX, point.X), max(maxY, point.Y)
		}
	}
	stepX, stepY := step(maxX), step(maxY)
	maxX, maxY = max(1, math.Ceil(maxX/stepX))*stepX, max(1, math.Ceil(maxY/stepY))*stepY
	x := func(v float64) float64 { return left + v/maxX*(width-left-right) }
	y := func(v float64) float64 { return height - below - v/maxY*(height-top-below) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text := func(x, y float64, anchor, size, content string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%s" fill="#333333">%s</text>`+"\n", x, y, anchor, size, escape(content))
	}
	text(width/2, 22, "middle", "15", p.Title)
	text(left+(width-left-right)/2, height-14, "middle", "12", p.X)
	text(8, top-14, "start", "12", p.Y)
	for v := 0.0; v <= maxX+stepX/2; v += stepX {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>`+"\n", x(v), top, x(v), height-below)
		text(x(v), height-below+18, "middle", "12", tick(v))
	}
	for v := 0.0; v <= maxY+stepY/2; v += stepY {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>`+"\n", left, y(v), width-right, y(v))
		text(left-8, y(v)+4, "end", "12", tick(v))
	}
	for i, c := range p.Curves {
		colour := colours()[i%len(colours())]
		var line []string
		for _, point := range c.Points {
			line = append(line, fmt.Sprintf("%.1f,%.1f", x(point.X), y(point.Y)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(point.X), y(point.Y), colour)
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(line, " "), colour)
		at := float64(left + 300 + 150*i)
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="14" height="4" fill="%s"/>`+"\n", at, top-20, colour)
		text(at+20, top-14, "start", "12", c.Name)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// step is the distance of the lines of an axis that reaches to at least most:
// 1, 2 or 5 times a power of ten.
func step(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/ticks)))
	for _, f := range []float64{1, 2, 5} {
		if f*power*ticks >= most {
			return f * power
		}
	}
	return 10 * power
}

func tick(v float64) string {
	if v >= 1000 {
		return thousands(int64(math.Round(v)))
	}
	return fmt.Sprintf("%.4g", v)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

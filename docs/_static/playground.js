// The playground: sliders in, numbers and curves out. Each formula stands once, as in the chapters; t runs over 1..T.
"use strict";
(() => {
  const root = document.getElementById("playground");
  if (!root) return;
  const $ = (id) => document.getElementById(id);
  const STEPS = [1, 2, 5, 10, 20, 50, 100, 500, 1000];

  // ------------------------------------------------------------------------------------------------- the mathematics
  const betas = {
    linear: (T) => Array.from({ length: T }, (_, k) => (T === 1 ? 1e-4 : 1e-4 + (k / (T - 1)) * (0.02 - 1e-4))),
    constant: (T) => Array(T).fill(0.3),
    cosine: (T, s = 0.008) =>
      Array.from({ length: T }, (_, k) => {
        const angle = (t) => ((t / T + s) / (1 + s)) * (Math.PI / 2);
        const [a, b] = [angle(k + 1), angle(k)]; // 1 - cos(a)^2 / cos(b)^2 = sin(a - b) sin(a + b) / cos(b)^2
        return Math.min((Math.sin(Math.PI / 2 / (T * (1 + s))) * Math.sin(a + b)) / Math.cos(b) ** 2, 0.999);
      }),
    vp: (T, low = 0.1, high = 20) =>
      Array.from({ length: T }, (_, k) => -Math.expm1(-(low + ((high - low) * (k + 0.5)) / T) / T)),
  };

  const makeSchedule = (name, T) => {
    const beta = [0, ...betas[name](T)];
    const logAlphaBar = [0];
    let lost = 0; // what each addition rounds away
    for (let t = 1; t <= T; t++) {
      const term = Math.log1p(-beta[t]) - lost;
      const sum = logAlphaBar[t - 1] + term;
      lost = sum - logAlphaBar[t - 1] - term;
      logAlphaBar.push(sum);
    }
    const alphaBar = logAlphaBar.map(Math.exp);
    const oneMinus = logAlphaBar.map((x) => 0 - Math.expm1(x)); // 0 -, since a unary minus leaves -0 at t = 0
    const betaTilde = beta.map((b, t) => (t === 0 ? 0 : (oneMinus[t - 1] / oneMinus[t]) * b));
    return { T, beta, alphaBar, oneMinus, betaTilde };
  };

  const marginal = ({ alphaBar, oneMinus }, x0, t) => ({ mean: Math.sqrt(alphaBar[t]) * x0, variance: oneMinus[t] });

  const priorTerm = ({ T, alphaBar, oneMinus }, x0) => 0.5 * (alphaBar[T] * x0 ** 2 - alphaBar[T] - Math.log(oneMinus[T]));

  const posterior = ({ beta, alphaBar, oneMinus, betaTilde }, x0, xt, t) => ({
    mean:
      ((Math.sqrt(alphaBar[t - 1]) * beta[t]) / oneMinus[t]) * x0 +
      ((Math.sqrt(1 - beta[t]) * oneMinus[t - 1]) / oneMinus[t]) * xt,
    variance: betaTilde[t],
  });

  const constantOfKl = (tilde, variance) => 0.5 * (Math.log(variance / tilde) + tilde / variance - 1);

  // ------------------------------------------------------------------------------------------------------ the curves
  const WIDE = 640, HIGH = 220, LEFT = 34, BOTTOM = 24;
  const node = (name, attributes) => {
    const found = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    return found;
  };
  const draw = (svg, [x0, x1], [y0, y1], curves, marks = []) => {
    svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
    const X = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDE - LEFT - 8);
    const Y = (y) => HIGH - BOTTOM - ((y - y0) / (y1 - y0)) * (HIGH - BOTTOM - 8);
    const parts = [node("path", { class: "axis", d: `M${LEFT},${Y(y0)}H${WIDE - 8}M${LEFT},${Y(y0)}V8` })];
    for (const at of [0, 0.25, 0.5, 0.75, 1]) {
      const x = x0 + at * (x1 - x0);
      const label = node("text", { class: "tick", x: X(x), y: HIGH - 6, "text-anchor": at === 1 ? "end" : "middle" });
      label.textContent = Number(x.toFixed(1));
      parts.push(label);
    }
    for (const [name, points] of curves)
      parts.push(node("path", { class: `curve ${name}`, d: "M" + points.map(([x, y]) => `${X(x).toFixed(2)},${Y(Math.min(y, y1 * 1.2)).toFixed(2)}`).join("L") }));
    for (const [name, x] of marks) parts.push(node("path", { class: `mark ${name}`, d: `M${X(x).toFixed(2)},${Y(y0)}V8` }));
    svg.replaceChildren(...parts);
  };
  const line = (from, to, f, n = 240) => Array.from({ length: n + 1 }, (_, k) => from + (k / n) * (to - from)).map((x) => [x, f(x)]);
  const normal = ({ mean, variance }) => (x) => Math.exp(-((x - mean) ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance);

  // ------------------------------------------------------------------------------------------------------- the page
  const say = (id, value) => {
    const out = $(id);
    out.dataset.value = String(value);
    out.textContent = value === Infinity ? "∞" : Number.isNaN(value) ? "–" : Number(value.toPrecision(6)).toString().replace("-", "−");
  };

  const update = () => {
    const T = STEPS[$("T").valueAsNumber];
    $("t").max = T;
    const t = Math.min($("t").valueAsNumber, T);
    const [x0, xt, shift] = ["x_0", "x_t", "shift"].map((id) => $(id).valueAsNumber);
    const schedule = makeSchedule($("schedule").value, T);
    const { beta, alphaBar, oneMinus, betaTilde } = schedule;
    for (const [id, value] of [["T", T], ["t", t], ["x_0", x0], ["x_t", xt], ["shift", shift]]) {
      say(`${id}-value`, value);
      $(id).setAttribute("aria-valuetext", String(value));
    }

    say("beta", beta[t]);
    say("alpha_bar", alphaBar[t]);
    say("one_minus_alpha_bar", oneMinus[t]);
    say("snr", alphaBar[t] / oneMinus[t]);
    say("beta_tilde", betaTilde[t]);
    say("alpha_bar_T", alphaBar[T]);
    const steps = Array.from({ length: T + 1 }, (_, k) => k);
    draw($("plot-schedule"), [0, T], [0, 1], [
      ["signal", steps.map((k) => [k, Math.sqrt(alphaBar[k])])],
      ["noise", steps.map((k) => [k, Math.sqrt(oneMinus[k])])],
    ], [["step", t]]);
    $("says-schedule").classList.toggle("warns", alphaBar[T] > 0.01);
    $("says-schedule").textContent = alphaBar[T] > 0.01
      ? `x_T still holds ${(100 * Math.sqrt(alphaBar[T])).toPrecision(3)} % of x₀, that is ${(100 * alphaBar[T]).toPrecision(3)} % of its power: sampling that starts from N(0, 1) starts from the wrong law.`
      : "Next to nothing of x₀ is left in x_T: sampling may start from N(0, 1).";

    const law = marginal(schedule, x0, t);
    say("marginal_mean", law.mean);
    say("marginal_var", law.variance);
    say("prior_term", priorTerm(schedule, x0));
    draw($("plot-marginal"), [-4, 4], [0, 1], [
      ["noise", line(-4, 4, normal({ mean: 0, variance: 1 }))],
      ["signal", line(-4, 4, normal(law), 800)],
    ], [["start", x0]]);

    const back = posterior(schedule, x0, xt, t);
    const before = marginal(schedule, x0, t - 1);
    say("prior_precision", 1 / oneMinus[t - 1]);
    say("likelihood_precision", (1 - beta[t]) / beta[t]);
    say("posterior_mean", back.mean);
    say("posterior_var", back.variance);
    const seen = { mean: xt / Math.sqrt(1 - beta[t]), variance: beta[t] / (1 - beta[t]) };
    const scales = [before, seen, back].filter(({ variance }) => variance > 0);
    const [low, high] = [-1, 1].map((side) => side * Math.max(...[before, seen, back].map(({ mean, variance }) => side * mean + 3.5 * Math.sqrt(variance))));
    const top = (1.1 * Math.max(...scales.map(({ mean, variance }) => (mean, 1 / Math.sqrt(2 * Math.PI * variance)))));
    draw($("plot-posterior"), [low, high], [0, top],
      [["signal", before], ["likelihood", seen], ["posterior", back]]
        .filter(([, { variance }]) => variance > 0).map(([name, one]) => [name, line(low, high, normal(one), 800)]),
      back.variance > 0 ? [] : [["posterior", back.mean]]);
    $("says-posterior").textContent = t === 1 ? "At t = 1 the prior is a point, x_0, and so is the posterior: nothing is left to be learnt from x_1." : "";

    const model = { mean: back.mean + shift, variance: $("variance").value === "beta" ? beta[t] : betaTilde[t] };
    const meaningful = t > 1;
    say("kl_mean", meaningful ? shift ** 2 / (2 * model.variance) : NaN);
    say("kl_constant", meaningful ? constantOfKl(back.variance, model.variance) : NaN);
    say("kl", meaningful ? shift ** 2 / (2 * model.variance) + constantOfKl(back.variance, model.variance) : NaN);
    if (meaningful) {
      const width = 4 * Math.sqrt(Math.max(back.variance, model.variance));
      const [from, to] = [Math.min(back.mean, model.mean) - width, Math.max(back.mean, model.mean) + width];
      draw($("plot-kl"), [from, to], [0, 1.1 / Math.sqrt(2 * Math.PI * Math.min(back.variance, model.variance))], [
        ["model", line(from, to, normal(model), 400)],
        ["posterior", line(from, to, normal(back), 400)],
      ]);
    } else draw($("plot-kl"), [-1, 1], [0, 1], []);
    $("says-kl").textContent = meaningful
      ? ""
      : "At t = 1 the posterior is a point and its divergence from any normal law infinite: the bound has the decoder's log-likelihood there, L_0.";
  };

  root.addEventListener("input", update);
  update();
})();

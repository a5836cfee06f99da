// Streamlit makes an entry of the history for every change of the query. One that only adds to it is none that a person made.
export default function () {
  if (window.trainscopeHistory) return;
  window.trainscopeHistory = true;
  const push = window.history.pushState.bind(window.history);
  window.history.pushState = (state, title, address) => {
    const here = new URL(window.location.href), next = new URL(address ?? here, here);
    const onlyAdds = [...here.searchParams].every(([name, value]) => next.searchParams.get(name) === value);
    if (next.pathname === here.pathname && next.search !== here.search && onlyAdds)
      window.history.replaceState(state, title, address);
    else push(state, title, address);
  };
}
